import { assertEquals } from "@std/assert";
import { noRead } from "./support/permissions.ts";
import { readSources } from "./support/sources.ts";

/** What the walk up from a node needs to know of it. */
interface Node {
  readonly type: string;
  readonly range: readonly [start: number, end: number];
  readonly parent?: Node | null;
  readonly [key: string]: unknown;
}

/** A constructor is given a function, and the function uses something that does not exist yet. */
interface LateFunction {
  /** The class whose constructor is called. */
  readonly made: string;
  /** What the function uses. */
  readonly uses: string;
}

/** Classes of the platform whose functions may use what is declared later: none of them is part of the program. */
const PLATFORM = ["Promise", "Map", "Set", "Proxy", "ReadableStream", "WritableStream", "TransformStream"];

function isFunction({ type }: Node): boolean {
  return type === "ArrowFunctionExpression" || type === "FunctionExpression" || type === "FunctionDeclaration";
}

/** The function or class field that a node is directly in; `undefined` for the top of the file. */
function scopeOf(node: Node): Node | undefined {
  let at = node.parent;
  while (at != null && !isFunction(at) && at.type !== "PropertyDefinition") at = at.parent;
  return at ?? undefined;
}

function nameOf(node: unknown): string {
  const { type, name } = node as Node;
  return type === "PrivateIdentifier" ? `#${name}` : String(name);
}

/** Whether a function is the body of a constructor. */
function isConstructor({ parent }: Node): boolean {
  return parent?.type === "MethodDefinition" && parent.kind === "constructor";
}

function classOf(node: Node): Node | undefined {
  let at: Node | null | undefined = node;
  while (at != null && at.type !== "ClassBody") at = at.parent;
  return at ?? undefined;
}

/**
 * Finds functions that a constructor is given before what they use is there: a field that is set later, a method of an
 * object that is still being made, or a variable that is declared later. Such a function hides a circle of two objects.
 */
function lateFunctions(file: string, source: string): LateFunction[] {
  const references: { node: Node; name: string; ofThis: boolean }[] = [];
  const variables: { name: string; at: Node; scope: Node | undefined }[] = [];
  const fields: { name: string; start: number; body: Node | undefined }[] = [];
  const plugin: Deno.lint.Plugin = {
    name: "late",
    rules: {
      functions: {
        create: () => ({
          MemberExpression(raw) {
            const node = raw as unknown as Node;
            if ((node.object as Node).type !== "ThisExpression") return;
            const name = nameOf(node.property);
            references.push({ node, name, ofThis: true });
            const { parent } = node;
            if (parent?.type === "AssignmentExpression" && (parent.left as Node).range[0] === node.range[0]) {
              fields.push({ name, start: node.range[0], body: classOf(node) });
            }
          },
          PropertyDefinition(raw) {
            const node = raw as unknown as Node;
            const start = node.value === null || node.value === undefined ? Infinity : -1;
            fields.push({ name: nameOf(node.key), start, body: classOf(node) });
          },
          Identifier(raw) {
            const node = raw as unknown as Node;
            const { parent } = node;
            const isProperty = parent?.type === "MemberExpression" && parent.computed === false &&
              (parent.property as Node).range[0] === node.range[0];
            const isKey = parent?.type === "Property" && parent.shorthand === false &&
              (parent.key as Node).range[0] === node.range[0];
            if (isProperty || isKey) return;
            let at = parent;
            while (
              at != null && /^(ObjectPattern|ArrayPattern|Property|AssignmentPattern|RestElement)$/.test(at.type)
            ) {
              at = at.parent;
            }
            const id = at?.type === "VariableDeclarator" ? at.id as Node : undefined;
            if (id !== undefined && id.range[0] <= node.range[0] && node.range[1] <= id.range[1]) {
              variables.push({ name: nameOf(node), at: at!, scope: scopeOf(at!) });
            } else if (at != null && isFunction(at) && node.range[1] <= (at.body as Node).range[0]) {
              variables.push({ name: nameOf(node), at: node, scope: at }); // a parameter
            } else {
              references.push({ node, name: nameOf(node), ofThis: false });
            }
          },
        }),
      },
    },
  };
  Deno.lint.runPlugin(plugin, file, source);

  /** The calls of constructors that are given a function, directly or by the variable that holds it. */
  const givenTo = (fn: Node): Node[] => {
    const calls: Node[] = [];
    for (let at = fn.parent; at != null && !isFunction(at); at = at.parent) {
      if (at.type === "CallExpression") return []; // what comes of it need not be the function
      if (at.type === "NewExpression") {
        calls.push(at);
        break;
      }
      if (at.type === "VariableDeclarator") {
        const { scope } = variables.find((variable) => variable.at.range[0] === at!.range[0]) ?? {};
        const names = variables.filter((variable) => variable.at.range[0] === at!.range[0]).map(({ name }) => name);
        for (const { node, name, ofThis } of references) {
          if (ofThis || !names.includes(name) || scopeOf(node)?.range[0] !== scope?.range[0]) continue;
          for (let up = node.parent; up != null && !isFunction(up); up = up.parent) {
            if (up.type === "NewExpression") calls.push(up);
          }
        }
      }
    }
    return calls.filter(({ callee }) => !PLATFORM.includes(nameOf(callee)));
  };

  const found: LateFunction[] = [];
  for (const { node, name, ofThis } of references) {
    for (let fn = node.parent; fn != null; fn = fn.parent) {
      if (!isFunction(fn)) continue;
      if (ofThis && fn.type !== "ArrowFunctionExpression") break; // its `this` is another one
      for (const call of givenTo(fn)) {
        const scope = scopeOf(call);
        if (scope === undefined) continue;
        const start = call.range[0];
        const isLate = ofThis
          ? (isConstructor(scope) || scope.type === "PropertyDefinition") &&
            !fields.some((field) =>
              field.name === name && field.body?.range[0] === classOf(node)?.range[0] && field.start < start
            )
          : variables.some((variable) =>
            variable.name === name && variable.scope?.range[0] === scope.range[0] && variable.at.range[1] > start &&
            !variables.some((inner) =>
              inner.name === name && inner.scope !== undefined && inner.scope.range[0] >= fn!.range[0] &&
              inner.scope.range[1] <= fn!.range[1]
            )
          );
        const made = nameOf(call.callee);
        const uses = ofThis ? `this.${name}` : name;
        if (isLate && !found.some((other) => other.made === made && other.uses === uses)) found.push({ made, uses });
      }
    }
  }
  return found;
}

function textOf(file: string, source: string): string[] {
  return lateFunctions(file, source).map(({ made, uses }) =>
    `${file}: new ${made} is given a function that uses ${uses}`
  );
}

Deno.test({
  name: "no constructor is given a function of an object that is made later",
  ignore: noRead,
  fn: async () => {
    const sources = await readSources();
    assertEquals(Object.entries(sources).flatMap(([file, source]) => textOf(file, source)), []);
  },
});

Deno.test("a function that uses what is made later is found, however it is handed over", () => {
  const late: [source: string, uses: string][] = [
    ["class A { #b: B; #c: C; constructor() { this.#b = new B(() => this.#c.go()); this.#c = new C(); } }", "this.#c"],
    ["class A { #b: B; constructor() { this.#b = new B({ deep: { go: () => this.#go() } }); } #go() {} }", "this.#go"],
    ["class A { #b = new B(() => this.go()); go() {} }", "this.go"],
    ["class A { constructor() { const go = () => this.#c.go(); new B({ go }); this.#c = 1; } #c; }", "this.#c"],
    ["class A { constructor() { const all = { go: () => this.#go() }; new B({ ...all }); } #go() {} }", "this.#go"],
    ["function f() { const b = new B(() => c.go()); const c = new C(b); }", "c"],
    ["function f() { const b = new B({ go() { return c.go(); } }); const { c } = new C(b); }", "c"],
    ["const f = () => { const b: B = new B(() => b.go()); };", "b"],
  ];
  for (const [source, uses] of late) {
    assertEquals(lateFunctions("a.ts", source), [{ made: "B", uses }], source);
  }
});

Deno.test("a function that uses what is there already is none, and neither is one that is called by nobody but the platform", () => {
  const good = [
    "class A { #b: B; #c: C; constructor() { this.#c = new C(); this.#b = new B(() => this.#c.go()); } }",
    "class A { #c = new C(); #b = new B(() => this.#c.go()); }",
    "class A { #b?: B; start() { this.#b = new B(() => this.#go()); } #go() {} }",
    "class A { constructor(c: C) { new B(() => c.go()); } }",
    "function f() { const c = new C(); const b = new B(() => c.go()); }",
    "function f() { const b = new B(() => { const c = 1; return c; }); const c = 2; }",
    "function f() { return new Promise((resolve) => { done = resolve; stop(); }); let stop; }",
    "function f() { let c; const b = new B((c) => c.go()); c = 1; }",
    "function f() { const b = new B(({ c }) => c.go()); for (const c of all) go(c); const { c } = b; }",
    "function f() { const b = new B({ c: 1 }, (x) => x.c); const c = 1; }",
  ];
  for (const source of good) assertEquals(lateFunctions("a.ts", source), [], source);
});
