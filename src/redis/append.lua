#!lua
-- One chunk of one source: compare with the fence; then position, log and publish every append, and move the fence. All of
-- it happens or none (I2): reads and refusals come before the first write, and the shebang has Redis refuse the whole
-- script where it has no memory left or is a replica.
-- KEYS: fence, then log and meta of each channel.
-- ARGV: source, expect, upTo, again, token, number of channels;
--       of each channel: bus channel, log size (0: publish only), log ttl, meta ttl (ms);
--       of each append: channel (1 …), offset, published, logged ('' = as published).
-- Returns: 1 written or 0 behind, the fence (nil: absent), appends skipped.
local source, token = ARGV[1], ARGV[5]
local expect, upTo, again, channels = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local number = '%.0f'

local fence = redis.call('HGET', KEYS[1], source)
local last = tonumber(fence or '-1')
-- Redis has lost what its owner knows to be acknowledged (I3).
if last < expect then return {0, fence, 0} end

local C = {}
for k = 1, channels do
  local at, log, meta = 3 + 4 * k, KEYS[2 * k], KEYS[2 * k + 1]
  local c = {log = log, meta = meta, bus = ARGV[at], size = tonumber(ARGV[at + 1]), logMs = ARGV[at + 2], metaMs = ARGV[at + 3]}
  if not redis.acl_check_cmd('PUBLISH', c.bus, '') then
    return redis.error_reply('NOPERM this user may not publish to the channel ' .. c.bus)
  end
  if c.size > 0 then
    redis.call('LLEN', log)
    local position = redis.call('HMGET', meta, 'e', 's')
    if position[1] then c.epoch, c.seq = position[1], tonumber(position[2])
    else c.epoch, c.seq, c.orphan = token, 0, true end
  end
  C[k] = c
end

local skipped = 0
for i = 7 + 4 * channels, #ARGV, 4 do
  local c, offset = C[tonumber(ARGV[i])], tonumber(ARGV[i + 1])
  -- Nobody heals from what is only published, so what was acknowledged before is not published again.
  if offset <= last or (c.size == 0 and offset <= again) then skipped = skipped + 1
  elseif c.size == 0 then redis.call('PUBLISH', c.bus, ARGV[i + 2])
  else
    -- A log without its meta cannot be continued.
    if c.orphan then redis.call('DEL', c.log); c.orphan = false end
    -- Acknowledged before, then lost (I5).
    if offset <= again then c.epoch = token end
    c.seq, c.offset = c.seq + 1, ARGV[i + 1]
    local head = 'B1 ' .. c.epoch .. ' ' .. string.format(number, c.seq) .. ' '
    local logged = ARGV[i + 3]
    redis.call('PUBLISH', c.bus, head .. ARGV[i + 2])
    redis.call('RPUSH', c.log, head .. (logged == '' and ARGV[i + 2] or logged))
  end
end

for k = 1, channels do
  local c = C[k]
  if c.offset then
    redis.call('HSET', c.meta, 'e', c.epoch, 's', string.format(number, c.seq), 'c', source .. ' ' .. c.offset, source, c.offset)
    redis.call('PEXPIRE', c.meta, c.metaMs)
    redis.call('LTRIM', c.log, -c.size, -1)
    redis.call('PEXPIRE', c.log, c.logMs)
  end
end
-- Covered, whatever of it was written (I4).
if not fence or upTo > last then
  last = math.max(last, upTo)
  redis.call('HSET', KEYS[1], source, string.format(number, last))
end
return {1, string.format(number, last), skipped}
