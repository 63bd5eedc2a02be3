/** Whether a permission is missing: such a test is ignored, so that bare `deno test` passes on any machine. */
async function missing(name: Deno.PermissionName): Promise<boolean> {
  return (await Deno.permissions.query({ name } as Deno.PermissionDescriptor)).state !== "granted";
}

/** For `ignore` of a test that opens sockets. */
export const noNet = await missing("net");
/** For `ignore` of a test that starts programs. */
export const noRun = await missing("run");
/** For `ignore` of a test that reads files. */
export const noRead = await missing("read");
/** For `ignore` of a test that writes files. */
export const noWrite = await missing("write");
/** For `ignore` of a test that reads environment variables, as some libraries do. */
export const noEnv = await missing("env");
/** For `ignore` of a test that asks about the machine or the user. */
export const noSys = await missing("sys");

/** A test that reads files of this machine, or looks whether they are there. */
export function readTest(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name, ignore: noRead, fn });
}

/** A test that opens sockets on this machine. */
export function netTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: noNet, fn });
}
