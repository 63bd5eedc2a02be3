# Freezes and thaws containers by their control groups, for one cless. Reads commands, one on a line, and answers each
# with one line. It touches only containers with the label of this cless, and of these only the files that freeze them.
# It ends when its input ends.
#
#   sh freezer.sh OWNER_FILE ENGINE_FOLDER [CGROUPS]
#
# OWNER_FILE     the file "owner" in the folder of --data-dir; it has the value of the containers' label
# ENGINE_FOLDER  the engine's own folder, often /var/lib/docker; it says what labels a container has
# CGROUPS        where control groups are mounted; /sys/fs/cgroup by default
#
#   freeze FOLDER  stops the processes in a control group, and answers like look
#   thaw FOLDER    lets them run again, and answers "thawed"
#   look FOLDER    answers "frozen", "freezing" (not all of them have stopped) or "thawed"
#
# If something is not possible, the answer is "no" and the reason.
owner_file=$1 engine=$2 cgroups=${3:-/sys/fs/cgroup}
owner= known=' '
trap '' HUP INT TERM # the end of the input comes later, when cless has stopped its containers

# Whether the engine says that container $id has this owner's label, and a runtime that freezes by the same files.
is_own() {
  case $known in *" $id "*) return 0 ;; esac
  [ -n "$owner" ] || read -r owner <"$owner_file" || return 1
  grep -qsF "\"cless.owner\":\"$owner\"" "$engine/containers/$id/config.v2.json" || return 1
  grep -qsE '"Runtime":"(runc|crun|io\.containerd\.runc\.v2)"' "$engine/containers/$id/hostconfig.json" || return 1
  [ ${#known} -lt 65536 ] || known=' '
  known="$known$id "
}

look() {
  state=
  if [ "$file" = freezer.state ]; then
    read -r state <"$folder/freezer.state"
    case $state in FROZEN) echo frozen ;; FREEZING) echo freezing ;; *) echo thawed ;; esac
    return
  fi
  read -r state <"$folder/cgroup.freeze"
  [ "$state" = 1 ] || { echo thawed && return; }
  state=freezing
  while read -r name value; do
    [ "$name $value" = 'frozen 1' ] && state=frozen
  done <"$folder/cgroup.events"
  echo $state
}

while read -r what folder; do
  id=${folder##*/}
  id=${id#docker-}
  id=${id%.scope}
  case $id in *[!0-9a-f]*) id= ;; esac
  case $folder in */../*) id= ;; "$cgroups"/*) ;; *) id= ;; esac
  if [ -e "$folder/freezer.state" ]; then file=freezer.state frozen=FROZEN thawed=THAWED
  else file=cgroup.freeze frozen=1 thawed=0; fi

  if [ ${#id} -ne 64 ]; then echo "no: $folder is no control group of a container"
  elif ! [ -e "$folder/$file" ]; then echo "no: there is no $folder/$file"
  elif ! is_own; then echo "no: $id has not the label of this cless, or another runtime than runc and crun"
  else
    case $what in
    look) look ;;
    freeze) if echo $frozen >"$folder/$file"; then look; else echo "no: cannot write $folder/$file"; fi ;;
    thaw) if echo $thawed >"$folder/$file"; then echo thawed; else echo "no: cannot write $folder/$file"; fi ;;
    *) echo "no: $what is not known" ;;
    esac
  fi
done 2>/dev/null
