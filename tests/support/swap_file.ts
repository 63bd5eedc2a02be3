/** A file that is part of the machine's swap until it is disposed of. */
export class SwapFile implements AsyncDisposable {
  readonly #path: string;
  #isOn = false;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Makes one. @throws {Error} If that is not allowed here, or there is no room. */
  static async make(path: string, megabytes: number): Promise<SwapFile> {
    const file = new SwapFile(path);
    try {
      await run("fallocate", "-l", `${megabytes}M`, path);
      await run("chmod", "600", path);
      await run("mkswap", path);
      await file.on();
      return file;
    } catch (error) {
      await Deno.remove(path).catch(() => {});
      throw error;
    }
  }

  /** Makes it a part of the machine's swap again. */
  async on(): Promise<void> {
    await run("swapon", this.#path);
    this.#isOn = true;
  }

  /** Takes it away, while memory may be in it: the kernel brings that back first. */
  async off(): Promise<void> {
    await run("swapoff", this.#path);
    this.#isOn = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOn) await this.off();
    await Deno.remove(this.#path);
  }
}

async function run(command: string, ...args: string[]): Promise<void> {
  const failed = (reason: string) => new Error(`${command} ${args.join(" ")}: ${reason}`);
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "piped" }).output();
  } catch {
    throw failed("there is no such command");
  }
  if (!output.success) throw failed(new TextDecoder().decode(output.stderr).trim());
}
