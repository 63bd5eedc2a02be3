import { assertRejects } from "@std/assert";
import { Loopback } from "../../src/http/loopback.ts";
import { noNet } from "../support/permissions.ts";

Deno.test(
  { name: "a program that sends messages to itself gets an answer to each, until it stops", ignore: noNet },
  async () => {
    const loopback = new Loopback();
    for (let n = 0; n < 3; n++) await loopback.send();
    await loopback[Symbol.asyncDispose]();
    await assertRejects(() => loopback.send());
  },
);
