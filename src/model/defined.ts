/** The type `T` with every field that may be `undefined` made optional. */
export type Defined<T> =
  & { [Field in keyof T as undefined extends T[Field] ? never : Field]: T[Field] }
  & { [Field in keyof T as undefined extends T[Field] ? Field : never]?: Exclude<T[Field], undefined> };

/** A copy of an object without the fields that are `undefined`. */
export function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
