/** The type `T`, in which each field that may be `undefined` is optional instead. */
export type Defined<T> =
  & { [Field in keyof T as undefined extends T[Field] ? never : Field]: T[Field] }
  & { [Field in keyof T as undefined extends T[Field] ? Field : never]?: Exclude<T[Field], undefined> };

/** A copy of an object without the fields that are `undefined`. */
export function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
