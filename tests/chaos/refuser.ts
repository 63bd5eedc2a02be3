// Refuses every request at once: no refusal can cost less. Usage: deno run -A refuser.ts PORT
if (import.meta.main) {
  const headers = { "retry-after": "1", "cless-error": "overloaded", "content-type": "application/problem+json" };
  const body = JSON.stringify({ title: "Overloaded", status: 503, code: "overloaded" });
  Deno.serve(
    { hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen() {} },
    () => new Response(body, { status: 503, headers }),
  );
}
