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
#   use N FREEZER MEMORY  gives a container the number N, and answers "ok"; FREEZER and MEMORY are the folders of its
#                         control groups that freeze it and that have its memory: the same folder with version 2
#   hello       answers "ready"
#   freeze N    stops its processes, and answers like look
#   thaw N      lets them run again, and answers "thawed"; breaks off its reclaim
#   look N      answers "frozen", "freezing" (not all of them have stopped) or "thawed"
#   reclaim N   begins to move the memory of a frozen one to swap; answers "started" and the bytes in RAM; one at a time
#   progress N  answers "running" while the reclaim runs, else "done" and the bytes in RAM
#   cancel N    breaks off a reclaim, and answers "ok"
#
# If something is not possible, the answer is "no" and the reason. "use" does in advance what a thaw would have to wait
# for.
owner_file=$1 engine=$2 cgroups=${3:-/sys/fs/cgroup}
# The runtimes that freeze by the same files. `cless doctor` reads this line too.
runtimes='runc|crun|io\.containerd\.runc\.v2'
# Ctrl-C reaches cless too, which still has to thaw and stop its containers: its end ends this.
trap '' HUP INT TERM
# A failed answer is noticed below.
trap '' PIPE

# Whether the engine says that a container has this owner's label, and one of the runtimes.
is_own() {
  read -r owner <"$owner_file"
  grep -qsF "\"cless.owner\":\"$owner\"" "$engine/containers/$1/config.v2.json" || return 1
  grep -qsE "\"Runtime\":\"($runtimes)\"" "$engine/containers/$1/hostconfig.json"
}

use() {
  eval "folder_$n= file_$n= frozen_$n= thawed_$n= memory_$n="
  id=${folder##*/}
  id=${id#docker-}
  id=${id%.scope}
  case $id in *[!0-9a-f]*) id= ;; esac
  case $folder in */../*) id= ;; "$cgroups"/*) ;; *) id= ;; esac
  case $memory in */../*) memory= ;; "$cgroups"/*/"$id" | "$cgroups"/*/"docker-$id.scope") ;; *) memory= ;; esac
  [ -e "$memory/memory.force_empty" ] || [ -e "$memory/memory.reclaim" ] || memory=
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

# Finds out the state, for "look".
find_state() {
  read -r now <"$file" || now=gone
  case $now in
  THAWED | 0) now=thawed ;;
  FROZEN) now=frozen ;;
  FREEZING) now=freezing ;;
  1)
    now=freezing
    while read -r name value; do
      [ "$name $value" != 'frozen 1' ] || now=frozen
    done <"$folder/cgroup.events"
    ;;
  *) now="no: cannot read $file" ;;
  esac
}

look() {
  find_state
  echo "$now"
}

# The memory in use, bytes.
find_usage() {
  usage=0
  read -r usage <"$memory/memory.usage_in_bytes" || read -r usage <"$memory/memory.current"
}

# Moves memory to swap. It runs in a process of its own: the kernel holds it until the memory has been moved.
reclaim() {
  if [ -e "$memory/memory.force_empty" ]; then
    # Version 1 moves everything at once, and gives up early if pages are in use for a moment.
    for _ in 1 2 3; do
      find_state
      [ "$now" != frozen ] || ! echo 0 >"$memory/memory.force_empty" || return
    done
    return
  fi
  read -r limit <"$memory/memory.max"
  [ "$limit" = max ] || echo max >"$memory/memory.swap.max"
  # In pieces, so that others get the disk too, until there is nothing left to move.
  for _ in $(seq 4096); do
    find_state
    [ "$now" = frozen ] && echo 16M >"$memory/memory.reclaim" || break
  done
  end_swap
}

# While it is awake, a container with a memory limit gets no swap.
end_swap() {
  read -r limit <"$memory/memory.max" && [ "$limit" != max ] && echo 0 >"$memory/memory.swap.max"
}

# Whether the process of the last reclaim runs. If it has ended, it is a zombie (Z), or its number means a process that
# is no child of this one.
is_reclaiming() {
  [ -n "$child" ] || return 1
  state=
  read -r _ _ state parent _ <"/proc/$child/stat"
  [ "$state" != Z ] && [ "${state:+$parent}" = $$ ] && return
  child= reclaimed=
  return 1
}

break_off() {
  is_reclaiming || return
  kill -KILL "$child" # the kernel may take a while to let it go
  eval "memory=\$memory_$reclaimed"
  child= reclaimed=
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
      # The answer could not be written, so nobody knows that it is frozen.
      eval "word=\$thawed_$n"
      echo "$word" >"$file"
    fi
    ;;
  look)
    eval "file=\$file_$n folder=\$folder_$n"
    look
    ;;
  reclaim)
    eval "file=\$file_$n folder=\$folder_$n memory=\$memory_$n"
    find_state
    if [ -z "$memory" ]; then
      echo "no: the memory of $n cannot be moved"
    elif [ "$now" != frozen ]; then
      echo 'no: it is not frozen'
    elif is_reclaiming; then
      echo 'no: another reclaim is running'
    else
      find_usage
      reclaim </dev/null >/dev/null &
      child=$! reclaimed=$n
      echo "started $usage"
    fi
    ;;
  progress)
    if is_reclaiming && [ "$reclaimed" = "$n" ]; then
      echo running
    else
      eval "memory=\$memory_$n"
      find_usage
      echo "done $usage"
    fi
    ;;
  cancel)
    [ "$reclaimed" != "$n" ] || break_off
    echo ok
    ;;
  *) echo "no: $what is not known" ;;
  esac
done 2>/dev/null
break_off 2>/dev/null
exit 0
