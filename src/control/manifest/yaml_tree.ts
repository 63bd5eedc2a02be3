import {
  type Alias,
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { messageOf } from "../../base/errors.ts";
import { type FieldPath, ManifestError, type Place, showPath } from "../schema/invalid.ts";

/** The longest text that is read, in characters. */
const MAX_TEXT = 1024 * 1024;
/**
 * The limit for the number of values. An alias counts as all the values that it stands for: with aliases, a few lines
 * can stand for billions.
 */
const MAX_VALUES = 200_000;
/** The limit for the nesting, since recursive functions read the result. */
const MAX_DEPTH = 100;

const START: Place = { line: 1, column: 1 };

/** Clearer messages for some of the library's errors. */
const MESSAGES: Partial<Record<ErrorCode, string>> = {
  MULTIPLE_DOCS: "only one document is read",
  NON_STRING_KEY: "a name must be text",
  RESOURCE_EXHAUSTION: "is nested too deeply",
};

/** A YAML document as a value, with the place of each part of it in the text. */
export class YamlTree {
  /** The value as in JSON; `undefined` for an empty document. */
  readonly value: unknown;
  readonly #lines = new LineCounter();
  /** The offsets of keys and values, by the JSON of their paths. */
  readonly #keys = new Map<string, number>();
  readonly #values = new Map<string, number>();
  /** The node of each alias. Kept here because the library would search the whole document for each alias. */
  readonly #targets = new Map<Alias, Node>();
  readonly #file: string;
  #count = 0;

  /**
   * @param file The file's name in messages.
   * @throws {ManifestError} If the text is not one YAML document within the limits.
   */
  constructor(text: string, file: string) {
    this.#file = file;
    if (text.length > MAX_TEXT) throw this.#refusal(START, "the file is longer than 1 MiB");
    const document = this.#parse(text);
    const [fault] = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
    if (fault !== undefined) {
      throw this.#refusal(this.#place(fault.pos[0]), MESSAGES[fault.code] ?? oneLine(messageOf(fault)));
    }
    if (document.contents !== null) this.value = this.#read(document.contents, [], []);
  }

  /** The place of a value, or of its key. For a missing value, it is the place of the nearest existing parent. */
  placeOf(path: FieldPath, ofName = false): Place {
    const key = JSON.stringify(path);
    const first = ofName ? this.#keys.get(key) : this.#values.get(key);
    if (first !== undefined) return this.#place(first);
    for (let length = path.length; length > 0; length--) {
      const above = JSON.stringify(path.slice(0, length));
      const offset = this.#keys.get(above) ?? this.#values.get(above);
      if (offset !== undefined) return this.#place(offset);
    }
    return START;
  }

  #refusal(place: Place, message: string): ManifestError {
    return new ManifestError(this.#file, [{ place, message }]);
  }

  #parse(text: string): Document.Parsed {
    try {
      const document = parseDocument(text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        schema: "core", // even if the text asks for YAML 1.1, in which `no` means false
        stringKeys: true,
        uniqueKeys: false, // checked here: the library compares every pair of keys
      });
      const anchors = new Map<string, Node>();
      visit(document, {
        Node: (_, node) => {
          if (!isAlias(node) && node.anchor !== undefined) anchors.set(node.anchor, node);
          const target = isAlias(node) ? anchors.get(node.source) : undefined;
          if (target !== undefined) this.#targets.set(node as Alias, target);
        },
      });
      return document;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw this.#refusal(START, "is nested too deeply"); // stack overflow
    }
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  /** @param inside The collections that contain the node, also through aliases. */
  #read(node: unknown, path: FieldPath, inside: readonly unknown[]): unknown {
    const at = isNode(node) ? node.range?.[0] : undefined;
    const fail = (message: string): never => {
      throw this.#refusal(at === undefined ? this.placeOf(path) : this.#place(at), message);
    };
    if (++this.#count > MAX_VALUES) {
      fail(`there are more than ${MAX_VALUES} values, each alias counted as what it is for`);
    }
    if (inside.length > MAX_DEPTH) fail("is nested too deeply");
    if (isAlias(node)) {
      const target = this.#targets.get(node);
      if (target === undefined) return fail(`there is no anchor ${node.source} before this`);
      if (inside.includes(target)) return fail(`${node.source} would contain itself`);
      return this.#read(target, path, inside);
    }
    if (at !== undefined) this.#values.set(JSON.stringify(path), at);
    if (isScalar(node) || !isNode(node)) return isScalar(node) ? node.value : null;
    return isMap(node)
      ? this.#readMap(node, path, [...inside, node])
      : (node as YAMLSeq).items.map((item, index) => this.#read(item, [...path, index], [...inside, node]));
  }

  #readMap(map: YAMLMap, path: FieldPath, inside: readonly unknown[]): unknown {
    const entries = new Map<string, unknown>();
    for (const { key, value } of map.items) {
      const node = isAlias(key) ? this.#targets.get(key) : key;
      const name = String(isScalar(node) ? node.value : node);
      const here = [...path, name];
      const offset = isNode(key) ? key.range?.[0] : undefined;
      if (entries.has(name)) {
        const message = `${showPath(here)}: is given twice; remove one of the two`;
        throw this.#refusal(this.#place(offset ?? 0), message);
      }
      if (offset !== undefined) this.#keys.set(JSON.stringify(here), offset);
      entries.set(name, this.#read(value, here, inside));
    }
    return Object.fromEntries(entries);
  }
}

/** Puts a message on one line. The library's messages can contain parts of the text. */
function oneLine(message: string): string {
  // deno-lint-ignore no-control-regex
  return message.replaceAll(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ");
}
