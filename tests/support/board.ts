/** One query of a panel. */
export interface Target {
  readonly refId: string;
  readonly expr: string;
}

/** A panel of a Grafana board, or the title of a row. */
export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly (Target & { readonly datasource: { readonly uid: string } })[];
}

/** A variable of a board, such as the service. */
export interface Variable {
  readonly name: string;
  readonly type: string;
  readonly definition?: string;
}

/** A Grafana board. */
export interface Board {
  readonly id: null;
  readonly uid: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly Variable[] };
  readonly panels: readonly Panel[];
}

/** The board that cless has. */
export async function readBoard(): Promise<Board> {
  return JSON.parse(await Deno.readTextFile("docs/grafana.json"));
}

/** A query with the values of Grafana's variables. @throws {Error} If one has no value. */
export function filledIn(query: string, values: Readonly<Record<string, string>>): string {
  return query.replace(/\$\{?(\w+)\}?/g, (variable, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for ${variable} in ${query}`);
    return value;
  });
}
