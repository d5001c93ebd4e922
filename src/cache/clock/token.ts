import { Failure } from '../../platform/failure.ts';

/** A moment of the clock. Clients carry it in `Millrace-Token` as `<epoch>.<seq>`. */
export interface Token {
  readonly epoch: string;
  readonly seq: number;
}

const FORMAT = /^([0-9a-f-]{1,64})\.(\d{1,15})$/;

export function formatToken({ epoch, seq }: Token): string {
  return `${epoch}.${seq}`;
}

/** Throws a Failure `invalid_token` if the text is not a token. */
export function parseToken(text: string): Token {
  const match = FORMAT.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new Failure(
      'invalid_token',
      'Millrace-Token is not a token that this service issued. Send one unchanged, or none.',
      {
        pointer: 'Millrace-Token',
      },
    );
  }
  return { epoch: match[1], seq: Number(match[2]) };
}
