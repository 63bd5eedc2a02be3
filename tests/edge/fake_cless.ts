// Stands for cless behind the edge: every name below example.org is served, and each answer tells the settings.
const listen = Deno.env.get("CLESS_LISTEN") ?? "";
const admin = Deno.env.get("CLESS_ADMIN") ?? "";

function serve(endpoint: string, handler: (request: Request) => Response): void {
  const [hostname = "", port] = endpoint.split(":");
  Deno.serve({ hostname, port: Number(port), onListen() {} }, handler);
}

serve(admin, (request) => {
  const name = new URL(request.url).searchParams.get("domain") ?? "";
  return new Response(null, { status: name.endsWith(".example.org") ? 200 : 404 });
});
serve(listen, () => {
  const settings = Object.entries(Deno.env.toObject()).filter(([name]) => name.startsWith("CLESS_"));
  return Response.json(Object.fromEntries(settings));
});
