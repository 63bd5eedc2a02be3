/**
 * Whether the docker command may make other containers than it is told to: it gives them the proxies that its file of
 * settings has, and takes an image of another platform where the environment says so. Where that cannot be told, it may.
 *
 * @param env A variable of the command's environment.
 */
export async function changesContainers(
  env: (name: string) => string | undefined = (name) => Deno.env.get(name),
): Promise<boolean> {
  if (env("DOCKER_DEFAULT_PLATFORM")) return true;
  const home = env("HOME");
  const folder = env("DOCKER_CONFIG") || (home && `${home}/.docker`);
  if (!folder?.startsWith("/")) return true; // it finds its file in a way of its own
  try {
    const settings = JSON.parse(await Deno.readTextFile(`${folder}/config.json`));
    return settings.proxies !== undefined;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}
