import { limitText } from "./look.ts";
import { plainText } from "./text.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What is known of a revision: its template, and the limits that hold. */
interface ShownRevision {
  readonly template: Fields;
  readonly limits?: Readonly<Record<string, { readonly value: unknown }>>;
}

/**
 * A changed field of a template: `memory 128m → 256m`, `env +NEW ~CHANGED -OLD`. Fields whose values are longer are only
 * named. Values of variables are never shown.
 *
 * @param latest The revision before the change, if there is one.
 * @param after The template after the change; fields that are missing have their defaults.
 */
export function fieldChangeText(
  field: string,
  latest: ShownRevision | undefined,
  after: Fields,
): string {
  const template: Fields = latest?.template ?? {};
  if (field === "env" || field === "secretEnv") {
    return [field, ...keyChanges(template[field] ?? {}, after[field] ?? {})].join(" ");
  }
  const values = [template[field] ?? latest?.limits?.[field]?.value, after[field]];
  const isOneWord = values.every((value) => typeof value !== "object");
  if (!isOneWord || values.every((value) => value === undefined)) return field;
  const text = (value: unknown) => value === undefined ? "default" : limitText(field, String(value));
  return plainText(`${field} ${values.map(text).join(" → ")}`);
}

/** The names of variables that are added, changed and removed. */
function keyChanges(before: object, after: object): string[] {
  const [old, now] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  const removed = [...old.keys()].filter((key) => !now.has(key)).map((key) => `-${key}`);
  const others = [...now].filter(([key, value]) => old.get(key) !== value);
  return [...others.map(([key]) => `${old.has(key) ? "~" : "+"}${key}`), ...removed].map(plainText);
}
