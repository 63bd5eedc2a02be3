import { assert, assertEquals } from "@std/assert";
import { docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";

const README = new URL("../../README.md", import.meta.url);
const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** A command of the tour, and what README says that it prints. */
interface Step {
  readonly command: string;
  readonly output: string;
}

/** The fenced blocks of the tour, with their languages. */
async function blocksOfTour(): Promise<{ language: string; text: string }[]> {
  const readme = await Deno.readTextFile(README);
  const tour = /\n## A tour\n([\s\S]*?)\n## /.exec(readme)?.[1];
  assert(tour !== undefined, "README has no tour");
  return [...tour.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
}

/** The commands of a block: each begins with a dollar sign, and takes a here-document with it. */
function stepsOf(text: string): Step[] {
  return text.split(/^\$ /m).slice(1).map((step) => {
    const [, command, output] = /^(.*<<END\n[\s\S]*?\nEND|.*)\n([\s\S]*)$/.exec(step)!;
    return { command: command!, output: output! };
  });
}

/** What is another one each time is left out: times, ages, sizes, costs, and how wide that makes a column. */
function essence(output: string, port: number): string {
  return output
    .replaceAll(`:${port}`, ":8080")
    .replaceAll(/\b\d+ (ms|bytes)\b/g, "N $1")
    .replaceAll(/[\d.]+ MiB +[\d.]+m?s +(-|\d+%)/g, "MEMORY CPU SAVED")
    .replaceAll(/\bafter [\d.]+s:/g, "after AGE:")
    .replaceAll(/\b(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\b/g, "TIME")
    .replaceAll(/\b(now|\d+s ago|\d+s)(?=\s|$)/gm, "AGE")
    .replaceAll(/ +/g, " ");
}

/** A shell in which the tour's commands mean what they mean to its reader. */
function prelude(program: Program): string {
  const { admin, dataDir, proxy } = program;
  return `
cless() { '${Deno.execPath()}' run --quiet -A '${MAIN}' "$@"; }
sudo() { "$@"; }
curl() {
  local url=\${@: -1} host
  [[ $url =~ ^http://([^:/]+) ]] && host=\${BASH_REMATCH[1]}
  [[ $1 == -H ]] && host=\${2#Host: }
  exec 3<>/dev/tcp/127.0.0.1/${proxy.port}
  printf 'GET / HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$host" >&3
  sed '1,/^\\r$/d' <&3
}
export CLESS_SERVER=http://127.0.0.1:${admin.port} CLESS_DATA_DIR='${dataDir}' NO_COLOR=1 TZ=UTC LC_ALL=C.UTF-8
`;
}

Deno.test({ name: "every command of README's tour does what README says", ignore: noDocker }, async () => {
  const folder = await Deno.makeTempDir();
  let program = await Program.start();
  try {
    const run = async (command: string): Promise<string> => {
      const script = `${prelude(program)}\n${command.replaceAll("8080", String(program.proxy.port))}`;
      const { stdout } = await new Deno.Command("bash", { args: ["-c", `{ ${script}\n} 2>&1`], cwd: folder }).output();
      return new TextDecoder().decode(stdout).replaceAll(folder, "/root");
    };
    let ran = 0;
    for (const { language, text } of await blocksOfTour()) {
      if (language === "console") {
        for (const { command, output } of stepsOf(text)) {
          const { port } = program.proxy;
          assertEquals(essence(await run(command), port), essence(output, port), command);
          ran++;
        }
      } else if (text.includes("cp -r saved")) {
        const { dataDir } = program;
        const lines: string[] = [];
        for (const line of text.trim().split("\n")) {
          if (line.startsWith("sudo systemctl stop cless")) await program.end();
          else if (line.startsWith("sudo systemctl start cless")) program = await Program.start({ dataDir });
          else lines.push(line.replaceAll("/var/lib/cless", dataDir));
          if (line.startsWith("sudo cp")) assertEquals(await run(lines.join("\n")), "");
          ran++;
        }
      }
    }
    assert(ran > 20, `only ${ran} commands were found`);
    assertEquals((await program.get("hello")).text, "Grüß Gott from Go at hello.localhost\n");
    const services = await program.api("/v1/services");
    assertEquals(services.map(({ name }) => name), ["blog", "hello", "notes", "shop"]);
  } finally {
    const { dataDir } = program;
    await program[Symbol.asyncDispose]();
    await docker("volume", "rm", "--force", "tour-notes");
    await Deno.remove(`${dataDir}.old`, { recursive: true }).catch(() => {});
    await Deno.remove(folder, { recursive: true });
  }
});
