-- The queue in Redis: every operation is one run of this script, and so atomic. ARGV: prefix, operation, its values.
-- What each operation promises is told in store.py.
--   job:ID          hash: the job's fields, `time:STATE` for when it reached a state
--   item:ID:SEQ     hash: the item's fields
--   waiting:ID      zset: the job's waiting items by number
--   leased          zset: ID:SEQ by the end of the lease
--   active, ended   zset: ids by their order, or by their end
--   endings         zset: ids of jobs whose end is still to be told, by when
--   listed:OWNER:KIND  zset: ids by their order
--   turns           hash: owner -> when it was served last
local P = ARGV[1]
local call = redis.call

local function get(id, field) return call('HGET', P .. 'job:' .. id, field) end
local function set(id, ...) call('HSET', P .. 'job:' .. id, ...) end
local function add(id, field, by) return call('HINCRBY', P .. 'job:' .. id, field, by) end
local function item_key(id, seq) return P .. 'item:' .. id .. ':' .. seq end
local function exists(id) return call('EXISTS', P .. 'job:' .. id) == 1 end

local function move(id, state, now)
  set(id, 'state', state, 'time:' .. state, now)
  if state ~= 'in_progress' and state ~= 'finalizing' then
    set(id, 'ended', now)
    for seq = 0, tonumber(get(id, 'total')) - 1 do call('HSET', item_key(id, seq), 'payload', '') end
    call('ZREM', P .. 'active', id)
    call('ZADD', P .. 'ended', now, id)
    call('ZADD', P .. 'endings', now, id)
  end
end

local function at_its_end(id, now)
  if get(id, 'has_chores') == '1' then move(id, 'finalizing', now) else move(id, get(id, 'ending'), now) end
end

local function count(id, ok, now)
  add(id, ok and 'completed' or 'failed', 1)
  if add(id, 'open', -1) == 0 then at_its_end(id, now) end
end

local function wait(id, seq, ready)
  call('HSET', item_key(id, seq), 'state', 'waiting', 'ready', ready)
  call('ZREM', P .. 'leased', id .. ':' .. seq)
  call('ZADD', P .. 'waiting:' .. id, seq, seq)
end

local function put(id, payloads_from)
  local num = #ARGV - payloads_from + 1
  for at = payloads_from, #ARGV do
    local seq = at - payloads_from
    call('HSET', item_key(id, seq), 'state', 'waiting', 'payload', ARGV[at], 'attempts', 0, 'token', 0, 'ready', 0)
    call('ZADD', P .. 'waiting:' .. id, seq, seq)
  end
  set(id, 'total', num, 'open', num)
  return num
end

local function break_off(id, ending, now)
  for seq = 0, tonumber(get(id, 'total')) - 1 do
    local key = item_key(id, seq)
    local state = call('HGET', key, 'state')
    if state == 'waiting' or state == 'leased' then
      call('HSET', key, 'state', ending)
      call('ZREM', P .. 'leased', id .. ':' .. seq)
    end
  end
  call('DEL', P .. 'waiting:' .. id)
  set(id, 'ending', ending, 'open', 0, 'chore_until', 0)
  add(id, 'token', 1)
  at_its_end(id, now)
end

local function holds(id, seq, token)
  local found = call('HMGET', item_key(id, seq), 'state', 'token')
  return found[1] == 'leased' and found[2] == token
end

local function done(id, seq, state, result, ok, now)
  call('HSET', item_key(id, seq), 'state', state, 'result', result)
  call('ZREM', P .. 'leased', id .. ':' .. seq)
  count(id, ok, now)
end

local function again_or_dead(id, seq, result, now, most, longest)
  local attempts = tonumber(call('HGET', item_key(id, seq), 'attempts'))
  if attempts >= tonumber(most) then
    done(id, seq, 'dead', result, false, now)
  else
    wait(id, seq, string.format('%.6f', tonumber(now) + math.min(tonumber(longest), 2 ^ (attempts - 1))))
  end
end

local function lapse(members, now, result, most, longest)
  for _, member in ipairs(members) do
    local id, seq = string.match(member, '^(.*):(%d+)$')
    again_or_dead(id, seq, result, now, most, longest)
  end
end

local function tick(now, result, most, longest)
  lapse(call('ZRANGEBYSCORE', P .. 'leased', '-inf', now), now, result, most, longest)
  for _, id in ipairs(call('ZRANGE', P .. 'active', 0, -1)) do
    local state, expires = get(id, 'state'), tonumber(get(id, 'expires'))
    if expires and expires <= tonumber(now) and (state == 'validating' or state == 'in_progress') then
      break_off(id, 'expired', now)
    end
  end
end

local function forget(id)
  for seq = 0, tonumber(get(id, 'total')) - 1 do call('DEL', item_key(id, seq)) end
  call('ZREM', P .. 'listed:' .. get(id, 'owner') .. ':' .. get(id, 'kind'), id)
  call('ZREM', P .. 'ended', id)
  call('ZREM', P .. 'endings', id)
  call('DEL', P .. 'job:' .. id, P .. 'waiting:' .. id)
end

local function first_ready(id, now)
  local from = 0
  while true do
    local seqs = call('ZRANGE', P .. 'waiting:' .. id, from, from + 63)
    for _, seq in ipairs(seqs) do
      if tonumber(call('HGET', item_key(id, seq), 'ready')) <= tonumber(now) then return seq end
    end
    if #seqs < 64 then return nil end
    from = from + 64
  end
end

local function lease(job, seq, worker, untl)
  local key, id = item_key(job.id, seq), job.id
  call('ZREM', P .. 'waiting:' .. id, seq)
  call('ZADD', P .. 'leased', untl, id .. ':' .. seq)
  call('HSET', key, 'state', 'leased', 'worker', worker)
  local token, attempts = call('HINCRBY', key, 'token', 1), call('HINCRBY', key, 'attempts', 1)
  local turn = call('INCR', P .. 'turn')
  set(id, 'turn', turn)
  job.turn = turn
  call('HSET', P .. 'turns', job.owner, turn)
  return { id, seq, token, attempts, get(id, 'kind'), job.owner, call('HGET', key, 'payload') }
end

local function claimable()
  local of, owners = {}, {}
  for _, id in ipairs(call('ZRANGE', P .. 'active', 0, -1)) do
    if get(id, 'state') == 'in_progress' and call('ZCARD', P .. 'waiting:' .. id) > 0 then
      local owner = get(id, 'owner')
      if not of[owner] then
        of[owner] = {}
        table.insert(owners, owner)
      end
      table.insert(of[owner], { id = id, owner = owner, turn = tonumber(get(id, 'turn')), order = #of[owner] })
    end
  end
  local function turn(owner) return tonumber(call('HGET', P .. 'turns', owner) or 0) end
  table.sort(owners, function(a, b)
    if turn(a) ~= turn(b) then return turn(a) < turn(b) end
    return a < b
  end)
  return of, owners
end

local function next_of(jobs, now)
  table.sort(jobs, function(a, b)
    if a.turn ~= b.turn then return a.turn < b.turn end
    return a.order < b.order
  end)
  for _, job in ipairs(jobs) do
    local seq = first_ready(job.id, now)
    if seq then return job, seq end
  end
end

local function num_open(owner)
  local num = 0
  for _, id in ipairs(call('ZRANGE', P .. 'active', 0, -1)) do
    if get(id, 'owner') == owner then num = num + 1 end
  end
  return num
end

local operations = {}

function operations.submit(id, kind, owner, state, has_chores, expires, meta, now, most)
  if exists(id) then return 1 end
  if most ~= '' and num_open(owner) >= tonumber(most) then return 0 end
  local ordinal = call('INCR', P .. 'ordinal')
  set(id, 'id', id, 'kind', kind, 'owner', owner, 'state', state, 'ending', 'completed', 'has_chores', has_chores,
    'created', now, 'expires', expires, 'meta', meta, 'total', 0, 'completed', 0, 'failed', 0, 'open', 0, 'turn', 0,
    'token', 0, 'chore_until', 0, 'time:' .. state, now)
  call('ZADD', P .. 'active', ordinal, id)
  call('ZADD', P .. 'listed:' .. owner .. ':' .. kind, ordinal, id)
  if has_chores == '0' then put(id, 12) end
  return 1
end

function operations.get(id, owner)
  if get(id, 'owner') ~= owner then return false end
  return call('HGETALL', P .. 'job:' .. id)
end

function operations.jobs(kind, owner, after, limit)
  local key, most = P .. 'listed:' .. owner .. ':' .. kind, '+inf'
  if after ~= '' then most = '(' .. (call('ZSCORE', key, after) or '-inf') end
  local found = {}
  for _, id in ipairs(call('ZREVRANGEBYSCORE', key, most, '-inf', 'LIMIT', 0, limit)) do
    table.insert(found, call('HGETALL', P .. 'job:' .. id))
  end
  return found
end

function operations.items(id, after, limit)
  local found, last = {}, math.min(tonumber(get(id, 'total') or 0) - 1, tonumber(after) + tonumber(limit))
  for seq = tonumber(after) + 1, last do
    local it = call('HMGET', item_key(id, seq), 'state', 'payload', 'result')
    table.insert(found, { seq, it[1], it[2], it[3] })
  end
  return found
end

function operations.item_state(id, seq) return call('HGET', item_key(id, seq), 'state') end

function operations.cancel(id, owner, now)
  if get(id, 'owner') ~= owner then return false end
  local state = get(id, 'state')
  if state == 'validating' or state == 'in_progress' then
    set(id, 'time:cancelling', now)
    break_off(id, 'cancelled', now)
  end
  return call('HGETALL', P .. 'job:' .. id)
end

function operations.delete(id, owner)
  if get(id, 'owner') ~= owner or not get(id, 'ended') then return 0 end
  forget(id)
  return 1
end

function operations.claim(worker, limit, now, untl, ...)
  tick(now, ...)
  local of, line = claimable()
  local found = {}
  while #line > 0 and #found < tonumber(limit) do
    local owner = table.remove(line, 1)
    local job, seq = next_of(of[owner], now)
    if job then
      table.insert(found, lease(job, seq, worker, untl))
      table.insert(line, owner)
    end
  end
  return found
end

function operations.beat(untl, ...)
  local lost, given = {}, { ... }
  for at = 1, #given, 3 do
    local id, seq, token = given[at], given[at + 1], given[at + 2]
    if holds(id, seq, token) then
      call('ZADD', P .. 'leased', untl, id .. ':' .. seq)
    else
      table.insert(lost, (at - 1) / 3)
    end
  end
  return lost
end

function operations.finish(id, seq, token, result, ok, now)
  if not holds(id, seq, token) then return 0 end
  done(id, seq, 'done', result, ok == '1', now)
  return 1
end

function operations.retry(id, seq, token, result, now, most, longest)
  if not holds(id, seq, token) then return 0 end
  again_or_dead(id, seq, result, now, most, longest)
  return 1
end

function operations.give_back(id, seq, token, ready)
  if not holds(id, seq, token) then return 0 end
  call('HINCRBY', item_key(id, seq), 'attempts', -1)
  wait(id, seq, ready)
  return 1
end

function operations.forsake(worker, now, ...)
  local mine = {}
  for _, id in ipairs(call('ZRANGE', P .. 'active', 0, -1)) do set(id, 'chore_until', 0) end
  for _, member in ipairs(call('ZRANGE', P .. 'leased', 0, -1)) do
    if call('HGET', P .. 'item:' .. member, 'worker') == worker then table.insert(mine, member) end
  end
  lapse(mine, now, ...)
  return #mine
end

function operations.claim_chore(now, untl, ...)
  tick(now, ...)
  for _, id in ipairs(call('ZRANGE', P .. 'active', 0, -1)) do
    local state = get(id, 'state')
    local wants = get(id, 'has_chores') == '1' and (state == 'validating' or state == 'finalizing')
    if wants and tonumber(get(id, 'chore_until')) <= tonumber(now) then
      set(id, 'chore_until', untl)
      return { add(id, 'token', 1), call('HGETALL', P .. 'job:' .. id) }
    end
  end
  return false
end

function operations.settle(id, token, state, meta, failed, now)
  if not exists(id) or get(id, 'token') ~= token or get(id, 'state') ~= state then return 0 end
  set(id, 'meta', meta, 'chore_until', 0)
  if state == 'finalizing' then
    move(id, get(id, 'ending'), now)
  elseif failed == '1' then
    move(id, 'failed', now)
  else
    move(id, put(id, 9) > 0 and 'in_progress' or 'finalizing', now)
  end
  return 1
end

function operations.purge(before)
  local ids = call('ZRANGEBYSCORE', P .. 'ended', '-inf', '(' .. before)
  for _, id in ipairs(ids) do forget(id) end
  return ids
end

function operations.claim_endings(limit, now, untl)
  local found = {}
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'endings', '-inf', now, 'LIMIT', 0, limit)) do
    call('ZADD', P .. 'endings', untl, id)
    table.insert(found, call('HGETALL', P .. 'job:' .. id))
  end
  return { call('ZCARD', P .. 'endings'), found }
end

function operations.settle_endings(...)
  local given = { ... }
  for at = 1, #given, 2 do
    if given[at + 1] == '' then
      call('ZREM', P .. 'endings', given[at])
    else
      call('ZADD', P .. 'endings', 'XX', given[at + 1], given[at])
    end
  end
end

return operations[ARGV[2]](unpack(ARGV, 3, math.min(#ARGV, 7000)))
