/** A command of `npm run cli`. */
export interface CliCommand {
  /** Its lines in the list of commands. */
  readonly usage: string;
  /**
   * @param command how it is called, as messages say it: `npm run cli -- digest`.
   * @param args the arguments after its name.
   * @throws UsageError for arguments that it does not take, before it sends anything.
   */
  readonly run: (command: string, args: readonly string[]) => Promise<void>;
}
