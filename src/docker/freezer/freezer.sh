# Freezes and thaws containers by their control groups, for one cless. Reads commands, one on a line, and answers each
# with one line. It touches only containers with the label of this cless, and of these only the files that freeze them
# or move their memory to disk.
# It ends when its input ends.
#
#   sh freezer.sh OWNER_FILE ENGINE_FOLDER [CGROUPS]
#
# OWNER_FILE     the file "owner" in the folder of --data-dir; it has the value of the containers' label
# ENGINE_FOLDER  the engine's own folder, often /var/lib/docker; it says what labels a container has
# CGROUPS        where control groups are mounted; /sys/fs/cgroup by default
#
#   use N FREEZER MEMORY  gives a container the number N, and answers "ok"; the folders of its control groups, which
#                         have the files to freeze it and those of its memory, are the same with version 2
#   hello       answers "ready"
#   freeze N    stops its processes, and answers like look
#   thaw N      lets them run again, and answers "thawed"; breaks off a reclaim
#   look N      answers "frozen", "freezing" (not all of them have stopped) or "thawed"
#   reclaim N   begins to move its memory to swap, and answers "started"; one container at a time
#   progress N  answers "running" while the reclaim runs, else "done"
#
# If something is not possible, the answer is "no" and the reason. All work that a thaw does not need is done by "use".
owner_file=$1 engine=$2 cgroups=${3:-/sys/fs/cgroup}
# Ctrl-C reaches cless too, which still has to thaw and stop its containers: its end ends this.
trap '' HUP INT TERM
# A failed answer is noticed below.
trap '' PIPE

# Whether the engine says that a container has this owner's label, and a runtime that freezes by the same files.
is_own() {
  read -r owner <"$owner_file"
  grep -qsF "\"cless.owner\":\"$owner\"" "$engine/containers/$1/config.v2.json" || return 1
  grep -qsE '"Runtime":"(runc|crun|io\.containerd\.runc\.v2)"' "$engine/containers/$1/hostconfig.json"
}

use() {
  eval "folder_$n= file_$n= frozen_$n= thawed_$n= memory_$n="
  id=${folder##*/}
  id=${id#docker-}
  id=${id%.scope}
  case $id in *[!0-9a-f]*) id= ;; esac
  case $folder in */../*) id= ;; "$cgroups"/*) ;; *) id= ;; esac
  case $memory in */../*) memory= ;; "$cgroups"/*/"$id" | "$cgroups"/*/"docker-$id.scope") ;; *) memory= ;; esac
  if [ ${#id} -ne 64 ]; then
    echo "no: $folder is no control group of a container"
  elif ! [ -r "$owner_file" ]; then
    echo "no: cannot read $owner_file"
  elif ! [ -r "$engine/containers/$id/config.v2.json" ]; then
    echo "no: cannot read $engine/containers/$id/config.v2.json"
  elif ! is_own "$id"; then
    echo "no: $id has not the label of this cless, or another runtime than runc and crun"
  elif [ -e "$folder/freezer.state" ]; then
    eval "memory_$n=\$memory folder_$n=\$folder file_$n=\$folder/freezer.state frozen_$n=FROZEN thawed_$n=THAWED"
    echo ok
  elif [ -e "$folder/cgroup.freeze" ]; then
    eval "memory_$n=\$memory folder_$n=\$folder file_$n=\$folder/cgroup.freeze frozen_$n=1 thawed_$n=0"
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

# Moves memory to swap. It runs in a process of its own: the kernel holds it until the memory has been moved.
reclaim() {
  if [ -e "$memory/memory.force_empty" ]; then
    # Version 1 moves everything at once, and gives up early if pages are in use for a moment.
    for _ in 1 2 3; do
      echo 0 >"$memory/memory.force_empty" && return
    done
    return
  fi
  read -r limit <"$memory/memory.max"
  [ "$limit" = max ] || echo max >"$memory/memory.swap.max"
  # In pieces, so that others get the disk too, until there is nothing left to move.
  for _ in $(seq 4096); do
    echo 16M >"$memory/memory.reclaim" || break
  done
  end_swap
}

# While it is awake, a container with a memory limit gets no swap.
end_swap() {
  read -r limit <"$memory/memory.max" && [ "$limit" != max ] && echo 0 >"$memory/memory.swap.max"
}

# Whether the process of the last reclaim runs. If it has ended, it is a zombie (Z) until its parent waits for it.
is_reclaiming() {
  [ -n "$child" ] || return 1
  state=
  read -r _ _ state _ <"/proc/$child/stat"
  case $state in
  '' | Z)
    wait "$child"
    child= reclaimed=
    return 1
    ;;
  esac
}

break_off() {
  is_reclaiming || return
  kill -KILL "$child"
  wait "$child"
  child= reclaimed=
  eval "memory=\$memory_$n"
  end_swap
}

file= child= reclaimed=
while read -r what n folder memory; do
  case $n in '' | *[!0-9]*) n=0 ;; esac
  case $what in
  hello) echo ready ;;
  use) use ;;
  thaw)
    eval "file=\$file_$n word=\$thawed_$n"
    if echo "$word" >"$file"; then echo thawed; else echo "no: cannot write $file"; fi
    [ "$reclaimed" != "$n" ] || break_off
    ;;
  freeze)
    eval "file=\$file_$n folder=\$folder_$n word=\$frozen_$n"
    if ! echo "$word" >"$file"; then
      echo "no: cannot write $file"
    elif ! look; then
      # Nobody will know that it is frozen.
      eval "word=\$thawed_$n"
      echo "$word" >"$file"
    fi
    ;;
  look)
    eval "file=\$file_$n folder=\$folder_$n"
    look
    ;;
  reclaim)
    eval "memory=\$memory_$n"
    if [ -z "$memory" ]; then
      echo "no: the memory of $n cannot be moved"
    elif is_reclaiming; then
      echo 'no: another reclaim is running'
    else
      reclaim </dev/null >/dev/null &
      child=$! reclaimed=$n
      echo started
    fi
    ;;
  progress) if is_reclaiming && [ "$reclaimed" = "$n" ]; then echo running; else echo 'done'; fi ;;
  *) echo "no: $what is not known" ;;
  esac
done 2>/dev/null
