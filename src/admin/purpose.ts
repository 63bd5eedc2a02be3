/** What the API is for, on one line. */
export const PURPOSE =
  "This is the admin API of cless; send the token from the data-dir as `Authorization: Bearer TOKEN`";
