import { removeIfThere } from "./atomic_file.ts";
import { messageOf } from "./errors.ts";
import { logger } from "./log.ts";

const log = logger("notify");

/**
 * Tells the service manager about this process: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
 *
 * @param socket `NOTIFY_SOCKET`; `undefined` if there is no service manager.
 * @param folder Where this process may create a temporary socket.
 */
export async function notify(socket: string | undefined, folder: string, state: Record<string, string | number>) {
  if (socket === undefined) return;
  const own = `${folder}/notify-${Deno.pid}.sock`;
  try {
    // An abstract socket's name begins with a byte of zero.
    const path = socket.startsWith("@") ? `\0${socket.slice(1)}` : socket;
    removeIfThere(own);
    const sender = Deno.listenDatagram({ transport: "unixpacket", path: own });
    const text = Object.entries(state).map(([name, value]) => `${name}=${value}`).join("\n");
    const sent = sender.send(new TextEncoder().encode(text), { transport: "unixpacket", path });
    await sent.finally(() => sender.close());
  } catch (error) {
    log.warning("cannot notify the service manager", { socket, reason: messageOf(error) });
  } finally {
    removeIfThere(own);
  }
}
