const LIST = "cless services lists the services, and cless instances their containers";
const SHOW = "cless services shows the state of every service, and cless describe NAME everything about one";
const DELETE = "cless delete NAME deletes a service";
const DEPLOY = "cless deploy NAME --image IMAGE makes a service, and cless apply --file FILE those of a file";
const START = "cless wake NAME starts an instance of a service, and cless serve starts cless itself";
const STOP = "cless sleep NAME stops the instances of a service, and cless delete NAME deletes it";
const EXEC = "cless exec NAME opens a shell in an instance of a service, or runs the command after --";

/** What verbs of other tools are called here, as the end of an error message. */
export const FOREIGN_VERBS: Readonly<Record<string, string>> = {
  ps: LIST,
  ls: LIST,
  list: LIST,
  get: LIST,
  status: SHOW,
  info: SHOW,
  inspect: SHOW,
  show: SHOW,
  stats: "cless top shows what each service does and uses, and cless instances what each container uses",
  images: "cless revisions NAME lists the revisions of a service with their images",
  rm: DELETE,
  remove: DELETE,
  destroy: DELETE,
  add: DEPLOY,
  create: DEPLOY,
  run: DEPLOY,
  up: DEPLOY,
  update: "cless deploy NAME changes a service, and cless upgrade cless itself",
  start: START,
  stop: STOP,
  down: STOP,
  kill: STOP,
  restart: "cless sleep NAME stops the instances of a service, and the next request starts one again",
  scale: "cless deploy NAME --min N --max N sets how many instances a service has",
  env: "cless deploy NAME --env KEY=VALUE sets a variable, and cless describe NAME lists them",
  tail: "cless logs NAME -f follows the output of a service",
  browse: "cless open NAME opens a service in the browser",
  watch: "cless top shows what all services do, and cless events -f what happens to them",
  ssh: EXEC,
  shell: EXEC,
  attach: EXEC,
  console: EXEC,
  undo: "cless rollback NAME undoes the last change of a service's traffic",
};
