/** The element with this id, which the page has. */
export function part<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`The page has no ${kind.name} "${id}".`);
}

/** Runs one submission at a time, and shows its error. */
export function onSubmit(
  form: HTMLFormElement,
  show: (error: string) => void,
  run: () => Promise<void>,
): void {
  const button = form.querySelector('button');
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (button === null || button.disabled) return;
    button.disabled = true;
    void run()
      .catch((error: unknown) => show(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        button.disabled = false;
      });
  });
}
