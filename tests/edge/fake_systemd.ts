import { freePorts } from "../support/free_ports.ts";
import { Machine } from "../../src/edge/machine.ts";

const SYSTEMCTL = `#!/bin/sh
root=ROOT units=ROOT/etc/systemd/system
echo "$*" >>$root/calls
# A unit sees no variables but its own.
for name in $(env | sed -n 's/^\\(CLESS_[A-Z_]*\\)=.*/\\1/p'); do unset $name; done
if [ "$(cat $root/fail 2>/dev/null)" = "$*" ]; then echo "it cannot $*" >&2; exit 1; fi

runs() { [ -e $root/pids/$1 ] && grep -qs '^State:.[^Z]' /proc/$(cat $root/pids/$1)/status; }
value() { cat $units/$1 $units/$1.d/*.conf 2>/dev/null | sed -n "s/^$2=-\\{0,1\\}//p"; }

start() {
  runs $1 && return
  for pair in $(value $1 LoadCredential); do
    mkdir -p $root/run/credentials/$1 && cp \${pair#*:} $root/run/credentials/$1/\${pair%%:*}
  done
  (
    set -a
    for file in $(value $1 EnvironmentFile); do [ ! -e $file ] || . $file; done
    eval $(value $1 Environment)
    exec $(value $1 ExecStart) >>$root/log-$1 2>&1 </dev/null
  ) &
  echo $! >$root/pids/$1
}

stop() {
  runs $1 || return 0
  kill $(cat $root/pids/$1)
  while runs $1; do sleep 0.02; done
}

case $1 in
start) start $2 ;;
stop) stop $2 ;;
restart) stop $2 && start $2 ;;
reload-or-restart)
  reload=$(value $2 ExecReload)
  if [ -n "$reload" ] && runs $2; then $reload >>$root/log-$2 2>&1; else stop $2 && start $2; fi ;;
enable) touch $root/enabled-$2 ;;
disable) rm -f $root/enabled-$3 && stop $3 ;;
show)
  case $2 in
  --property=MainPID) runs $4 && cat $root/pids/$4 || echo 0 ;;
  --property=ActiveState) runs $4 && echo active || echo inactive ;;
  --property=ActiveEnterTimestamp) echo Sun 2026-11-29 10:00:00 UTC ;;
  --property=ExecStart) value $4 ExecStart ;;
  esac ;;
esac
`;

/**
 * A machine below a folder, whose `systemctl` starts and stops what the units say, and fails at the call that the file
 * `fail` names.
 */
export class FakeSystemd implements AsyncDisposable {
  readonly root = Deno.makeTempDirSync({ prefix: "machine-" });
  readonly admin = `127.0.0.1:${freePorts(1)}`;
  /** Where cless listens by the operator's settings. */
  readonly listen = `127.0.0.2:${freePorts(1)}`;
  readonly machine: Machine;

  /** @param cless The command line of the unit of cless. */
  constructor(cless: string) {
    for (const folder of ["bin", "pids", "run/systemd/system", "run/cless-edge", "etc/default", "etc/systemd/system"]) {
      Deno.mkdirSync(`${this.root}/${folder}`, { recursive: true });
    }
    const userEnv = `${this.root}/etc/default/cless`;
    this.write("etc/systemd/system/cless.service", `[Service]\nExecStart=${cless}\nEnvironmentFile=-${userEnv}\n`);
    this.write("etc/default/cless", `CLESS_ADMIN=${this.admin}\nCLESS_LISTEN=${this.listen}\n`);
    this.write("calls", "");
    this.write("bin/systemctl", SYSTEMCTL.replaceAll("ROOT", this.root));
    Deno.chmodSync(`${this.root}/bin/systemctl`, 0o755);
    this.machine = new Machine(true, `${this.root}/bin:${Deno.env.get("PATH")}`, this.root);
  }

  /** What systemctl was told to do, and empties that. */
  calls(): string[] {
    const calls = this.read("calls").split("\n").filter((call) => call !== "" && !call.startsWith("show "));
    this.write("calls", "");
    return calls;
  }

  read(path: string): string {
    return Deno.readTextFileSync(`${this.root}/${path}`);
  }

  write(path: string, text: string): void {
    Deno.writeTextFileSync(`${this.root}/${path}`, text);
  }

  /** Every file below `etc`, with its content. */
  files(): Record<string, string> {
    const paths: string[] = [];
    const walk = (folder: string) => {
      for (const { isFile, name } of Deno.readDirSync(`${this.root}/${folder}`)) {
        if (isFile) paths.push(`${folder}/${name}`);
        else walk(`${folder}/${name}`);
      }
    };
    walk("etc");
    return Object.fromEntries(paths.sort().map((path) => [path, this.read(path)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const unit of ["cless-edge.service", "cless.service"]) await this.machine.systemctl("stop", unit);
    await Deno.remove(this.root, { recursive: true });
  }
}
