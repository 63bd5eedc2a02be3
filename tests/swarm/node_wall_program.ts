// Usage: node_wall_program.ts OWNER STEP…: takes the steps one after the other, each a method of NodeWall with its
// argument as JSON, or a command of the shell.
import { NodeWall } from "../../src/docker/swarm/node_wall.ts";

const [owner, ...steps] = Deno.args;
const wall = new NodeWall(owner!);
for (const step of steps) {
  if (step.startsWith("admit ")) await wall.admit(JSON.parse(step.slice("admit ".length)));
  else if (step === "repair") await wall.repair();
  else if (step === "remove") await wall.remove();
  else await new Deno.Command("sh", { args: ["-c", step], stdout: "inherit" }).output();
}
