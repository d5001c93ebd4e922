/**
 * The software bill of materials of a deployment, by package-lock.json: CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/).
 *
 * `npm sbom --omit=dev` leaves out packages that a tool needs, too, although the worker has them; and the generator of
 * CycloneDX would install 148 packages, one of which compiles native code.
 */
import * as z from 'zod';

const Package = z.looseObject({
  name: z.string().optional(),
  version: z.string(),
  integrity: z.string().optional(),
  license: z.string().optional(),
  dev: z.boolean().optional(),
  dependencies: z.record(z.string(), z.string()).default({}),
  peerDependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});
export const SbomLockfile = z.looseObject({
  packages: z.record(z.string(), Package).and(z.object({ '': Package })),
});
type Packages = z.output<typeof SbomLockfile>['packages'];

/** The names that CycloneDX has for the algorithms of an integrity. */
const ALGORITHMS: Readonly<Record<string, string>> = {
  sha1: 'SHA-1',
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
};

/**
 * The components are the packages that are no tools, in the order of the file. The same lockfile gives the same text: there
 * is no serial number and no time.
 */
export function sbomOf(packages: Packages): object {
  const shipped = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  const paths = new Set(shipped.map(([path]) => path));
  const refOf = (path: string) => purlOf(nameAt(path), packages[path]?.version ?? '');
  const root = packages[''];
  const rootRef = purlOf(root.name ?? '', root.version);
  const refs = new Set<string>();
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: componentOf(root.name ?? '', root, 'application') },
    // A package of one version may stand in several folders.
    components: shipped
      .map(([path, found]) => componentOf(nameAt(path), found, 'library'))
      .filter(({ purl }) => !refs.has(purl) && refs.add(purl)),
    dependencies: [['', rootRef] as const, ...shipped.map(([path]) => [path, refOf(path)] as const)].map(
      ([path, ref]) => ({
        ref,
        dependsOn: dependenciesOf(path, packages)
          .filter((other) => paths.has(other))
          .map(refOf),
      }),
    ),
  };
}

function componentOf(name: string, { version, integrity, license }: z.output<typeof Package>, type: string) {
  const purl = purlOf(name, version);
  const [, algorithm = '', hash = ''] = /^(\w+)-(\S+)/.exec(integrity ?? '') ?? [];
  const alg = ALGORITHMS[algorithm];
  return {
    ...{ type, 'bom-ref': purl, name, version, purl },
    ...(license === undefined ? {} : { licenses: [licenceOf(license)] }),
    ...(alg === undefined ? {} : { hashes: [{ alg, content: Buffer.from(hash, 'base64').toString('hex') }] }),
  };
}

function licenceOf(license: string): object {
  return /[ ()]/.test(license) ? { expression: license } : { license: { id: license } };
}

/** https://github.com/package-url/purl-spec: the `@` of a scope is percent-encoded. */
function purlOf(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

function nameAt(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/** The folders of what a package depends on, found as Node does: in its own `node_modules`, then in those around it. */
function dependenciesOf(path: string, packages: Packages): string[] {
  const { dependencies = {}, peerDependencies = {}, optionalDependencies = {} } = packages[path] ?? {};
  const names = [...new Set([dependencies, peerDependencies, optionalDependencies].flatMap(Object.keys))];
  return names.flatMap((name) => {
    for (
      let folder = path;
      ;
      folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))
    ) {
      const found = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
      if (found in packages) return [found];
      if (folder === '') return [];
    }
  });
}
