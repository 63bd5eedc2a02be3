// Prints the `deno run` flags that grant what deno.json's default permission set and "unstable" list grant, quoted for
// a shell: an executable that carries no deno.json is allowed what `deno run -P` is. What it cannot express is an error.
import config from "../deno.json" with { type: "json" };

const permissions = Object.entries<unknown>(config.permissions.default).flatMap(([name, granted]) => {
  if (granted === true) return [`--allow-${name}`];
  if (granted === false) return [];
  if (!Array.isArray(granted) || !granted.every((value) => /^[\w.*:/-]+$/.test(value))) {
    throw new Error(`Cannot turn permission "${name}" into a flag: ${JSON.stringify(granted)}`);
  }
  return granted.length > 0 ? [`--allow-${name}=${granted.join(",")}`] : [];
});
const features = config.unstable.map((feature) => `--unstable-${feature}`);

console.log([...permissions, ...features].map((flag) => `'${flag}'`).join(" "));
