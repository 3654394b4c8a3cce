/**
 * What one slot's keys do in one step each, in Lua, since a script is Redis's only transaction with conditions. A collection
 * is a hash (id → value) and, where it is ordered, a sorted set of its ids beside it, all with score 0 and so in byte order.
 */

/**
 * KEYS: hash and set of every collection touched, in pairs. ARGV: the number of conditions; then per condition and per
 * change: pair, id, `1` and the value or `0` and nothing for absence; per change also `1` where its collection is ordered.
 * Yields 1, or 0 if a condition does not hold. Every condition is read before the first write.
 */
export const COMMIT_SCRIPT = `
local at = 1
local function take() at = at + 1; return ARGV[at - 1] end
for _ = 1, tonumber(take()) do
  local pair = tonumber(take())
  local id = take()
  local present = take()
  local value = take()
  local now = redis.call('HGET', KEYS[pair * 2 - 1], id)
  if present == '1' then
    if now ~= value then return 0 end
  elseif now then
    return 0
  end
end
while at <= #ARGV do
  local pair = tonumber(take())
  local id = take()
  local present = take()
  local value = take()
  local ordered = take()
  if present == '1' then
    redis.call('HSET', KEYS[pair * 2 - 1], id, value)
    if ordered == '1' then redis.call('ZADD', KEYS[pair * 2], 0, id) end
  else
    redis.call('HDEL', KEYS[pair * 2 - 1], id)
    if ordered == '1' then redis.call('ZREM', KEYS[pair * 2], id) end
  end
end
return 1
`;

/** KEYS: hash and set. ARGV: the lower bound (`-` or `(id`), the most entries. Yields id, value, id, value … */
export const LIST_SCRIPT = `
local ids = redis.call('ZRANGE', KEYS[2], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
local found = {}
for _, id in ipairs(ids) do
  local value = redis.call('HGET', KEYS[1], id)
  if value then
    found[#found + 1] = id
    found[#found + 1] = value
  end
end
return found
`;
