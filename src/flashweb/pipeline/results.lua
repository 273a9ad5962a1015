-- Keeps one answer: KEYS[1] the prefix of all names; ARGV: its digest, its bytes, how many entries and bytes there may
-- be, its life in seconds, the time. `ends` has every digest by the time its life ends, `sizes` its bytes, `bytes` their
-- sum: an entry that Redis has dropped by itself is still in them, until its time.
local prefix, digest, value = KEYS[1], ARGV[1], ARGV[2]
local most, room, life, now = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local ends, sizes, bytes = prefix .. 'ends', prefix .. 'sizes', prefix .. 'bytes'

local function drop(name)
    redis.call('DEL', prefix .. name)
    redis.call('ZREM', ends, name)
    redis.call('DECRBY', bytes, redis.call('HGET', sizes, name) or 0)
    redis.call('HDEL', sizes, name)
end

for _, name in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 100)) do
    drop(name)
end
if redis.call('HEXISTS', sizes, digest) == 1 then
    drop(digest)
end
while true do
    local oldest = redis.call('ZRANGE', ends, 0, 0)[1]
    local is_full = redis.call('ZCARD', ends) >= most or tonumber(redis.call('GET', bytes) or 0) + #value > room
    if not (oldest and is_full) then
        break
    end
    drop(oldest)
end
redis.call('SET', prefix .. digest, value, 'PX', math.ceil(life * 1000))
redis.call('ZADD', ends, now + life, digest)
redis.call('HSET', sizes, digest, #value)
redis.call('INCRBY', bytes, #value)
