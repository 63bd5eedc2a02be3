/**
 * A shell script that asks all places at once, and prints the statuses of their answers in order; 000 for those that
 * give none.
 */
export function askScript(places: readonly string[]): string {
  const asked = places.map((place, index) =>
    `curl -so /dev/null -m 2 --connect-timeout 1 -w '%{http_code} ' http://${place}/ >$dir/${index} &`
  );
  return `dir=$(mktemp -d); ${asked.join(" ")} wait; cat ${
    places.map((_, index) => `$dir/${index}`).join(" ")
  }; rm -r $dir`;
}
