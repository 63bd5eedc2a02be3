/** What an app sends is not HTTP/1.1, or can be read in two ways. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}
