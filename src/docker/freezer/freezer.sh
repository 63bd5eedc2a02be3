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
#   use N FOLDER  gives the control group of a container the number N, and answers "ok"
#   freeze N      stops the processes in it, and answers like look
#   thaw N        lets them run again, and answers "thawed"
#   look N        answers "frozen", "freezing" (not all of them have stopped) or "thawed"
#
# If something is not possible, the answer is "no" and the reason. All work that a thaw does not need is done by "use".
owner_file=$1 engine=$2 cgroups=${3:-/sys/fs/cgroup}
trap '' HUP INT TERM # the end of the input comes later, when cless has stopped its containers

# Whether the engine says that a container has this owner's label, and a runtime that freezes by the same files.
is_own() {
  read -r owner <"$owner_file" || return 1
  grep -qsF "\"cless.owner\":\"$owner\"" "$engine/containers/$1/config.v2.json" || return 1
  grep -qsE '"Runtime":"(runc|crun|io\.containerd\.runc\.v2)"' "$engine/containers/$1/hostconfig.json"
}

use() {
  id=${folder##*/}
  id=${id#docker-}
  id=${id%.scope}
  case $id in *[!0-9a-f]*) id= ;; esac
  case $folder in */../*) id= ;; "$cgroups"/*) ;; *) id= ;; esac
  if [ ${#id} -ne 64 ]; then
    echo "no: $folder is no control group of a container"
  elif ! is_own "$id"; then
    echo "no: $id has not the label of this cless, or another runtime than runc and crun"
  elif [ -e "$folder/freezer.state" ]; then
    eval "folder_$n=\$folder file_$n=\$folder/freezer.state frozen_$n=FROZEN thawed_$n=THAWED"
    echo ok
  elif [ -e "$folder/cgroup.freeze" ]; then
    eval "folder_$n=\$folder file_$n=\$folder/cgroup.freeze frozen_$n=1 thawed_$n=0"
    echo ok
  else
    echo "no: there is no freezer in $folder"
  fi
}

look() {
  read -r state <"$file" || state=gone
  case $state in
  THAWED | 0) echo thawed ;;
  FROZEN) echo frozen ;;
  FREEZING) echo freezing ;;
  1)
    state=freezing
    while read -r name value; do
      [ "$name $value" != 'frozen 1' ] || state=frozen
    done <"$folder/cgroup.events"
    echo "$state"
    ;;
  *) echo "no: cannot read $file" ;;
  esac
}

file=
while read -r what n folder; do
  case $n in '' | *[!0-9]*) n=0 ;; esac
  case $what in
  use) use ;;
  thaw)
    eval "file=\$file_$n word=\$thawed_$n"
    if echo "$word" >"$file"; then echo thawed; else echo "no: cannot write $file"; fi
    ;;
  freeze)
    eval "file=\$file_$n folder=\$folder_$n word=\$frozen_$n"
    if echo "$word" >"$file"; then look; else echo "no: cannot write $file"; fi
    ;;
  look)
    eval "file=\$file_$n folder=\$folder_$n"
    look
    ;;
  *) echo "no: $what is not known" ;;
  esac
done 2>/dev/null
