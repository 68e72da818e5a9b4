// SPDX-License-Identifier: MIT
// node-redis (npm's redis) in both versions of the protocol that it speaks.
'use strict';

const assert = require('node:assert/strict');
const { createClient, createClientPool, RESP_TYPES, WatchError, ErrorReply } = require('redis');
const { clientTest, until, sleep, noise, EVERY_BYTE, MIB } = require('./server');

// Errors of the connection are told by events; the tests look at what becomes of their commands.
async function connect(server, own, options = {}) {
  const client = createClient({ socket: { port: server.port, reconnectStrategy: 10 }, ...options });
  client.on('error', () => {});
  own(client, () => client.isOpen && client.destroy());
  return client.connect();
}

function inBoth(name, body) {
  for (const RESP of [2, 3]) {
    clientTest(`RESP${RESP}: ${name}`, async (server, own) => {
      await body(await connect(server, own, { RESP }), server, own, RESP);
    });
  }
}

inBoth('strings and counters', async (db) => {
  assert.equal(await db.set('k', 'grüße'), 'OK');
  assert.equal(await db.get('k'), 'grüße');
  assert.equal(await db.get('nothing'), null);
  assert.equal(await db.append('k', '!'), 8);
  assert.equal(await db.strLen('k'), 8);
  assert.equal(await db.setRange('k', 7, '?'), 8);
  assert.equal(await db.getRange('k', -1, -1), '?');
  assert.equal(await db.incrBy('n', 41), 41);
  assert.equal(await db.incr('n'), 42);
  assert.equal(await db.decrBy('n', 2), 40);
  assert.equal(await db.incrByFloat('n', 0.5), '40.5');
  await db.mSet({ a: '1', b: '2' });
  assert.deepEqual(await db.mGet(['a', 'c', 'b']), ['1', null, '2']);
  assert.equal(await db.mSetNX({ b: '3', d: '4' }), 0);
  assert.equal(await db.getDel('a'), '1');
  assert.equal(await db.exists(['a', 'b', 'b']), 2);
  assert.equal(await db.type('b'), 'string');
  assert.equal(await db.rename('b', 'c'), 'OK');
  assert.equal(await db.copy('c', 'd'), 1);
  assert.equal(await db.del(['c', 'd', 'e']), 2);
  assert.equal(await db.setBit('bits', 7, 1), 0);
  assert.equal(await db.bitCount('bits'), 1);
});

inBoth('binary keys and values', async (db) => {
  const bytes = db.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  const value = Buffer.concat([EVERY_BYTE, Buffer.from('\r\n$3\r\n'), EVERY_BYTE]);
  await bytes.set(EVERY_BYTE, value);
  assert.deepEqual(await bytes.get(EVERY_BYTE), value);
  assert.deepEqual(await bytes.keys('*'), [EVERY_BYTE]);
  assert.deepEqual(await bytes.mGet([EVERY_BYTE, 'nothing']), [value, null]);
});

inBoth('conditions and times', async (db) => {
  assert.equal(await db.set('k', '1', { expiration: { type: 'EX', value: 100 } }), 'OK');
  assert.equal(await db.ttl('k'), 100);
  assert.equal(await db.set('k', '2', { condition: 'NX' }), null);
  assert.equal(await db.set('k', '2', { condition: 'XX', expiration: 'KEEPTTL', GET: true }), '1');
  assert.ok((await db.pTTL('k')) > 90000);
  assert.equal(await db.set('k', '3'), 'OK');
  assert.equal(await db.ttl('k'), -1);
  assert.equal(await db.getEx('k', { type: 'PX', value: 50000 }), '3');
  assert.ok((await db.pTTL('k')) <= 50000);
  assert.equal(await db.expire('k', 10, 'GT'), 0);
  assert.equal(await db.persist('k'), 1);
  const at = Math.floor(Date.now() / 1000) + 1000;
  assert.equal(await db.set('k', '4', { expiration: { type: 'EXAT', value: at } }), 'OK');
  assert.equal(await db.expireTime('k'), at);
  await db.pSetEx('brief', 40, 'x');
  await until(async () => (await db.get('brief')) === null, 'a key of 40 ms goes');
  assert.equal(await db.pTTL('brief'), -2);
});

inBoth('pipelines keep their order', async (db) => {
  const numbers = Array.from({ length: 5000 }, (_, i) => i);
  await Promise.all(numbers.map((i) => db.set(`key:${i}`, `value ${i}`)));
  const got = await Promise.all(numbers.map((i) => db.get(`key:${i}`)));
  assert.deepEqual(got, numbers.map((i) => `value ${i}`));
  const pipe = db.multi().set('a', '1').incr('a').get('a');
  assert.deepEqual(await pipe.execAsPipeline(), ['OK', 2, '2']);
});

inBoth('transactions and watches', async (db, server, own) => {
  assert.deepEqual(await db.multi().set('n', '1').incrBy('n', 5).get('n').exec(), ['OK', 6, '6']);
  await db.set('text', 'abc');
  await assert.rejects(db.multi().set('n', '7').incr('text').exec(), (error) => {
    assert.match(error.replies[1].message, /not an integer/);
    return error.replies[0] === 'OK';
  });
  assert.equal(await db.get('n'), '7');
  await assert.rejects(db.multi().addCommand(['NONSENSE']).exec(), /unknown command/);
  const other = await connect(server, own);
  await db.watch('n');
  await other.incr('n');
  await assert.rejects(db.multi().set('n', 'lost').exec(), WatchError);
  await db.watch('n');
  assert.deepEqual(await db.multi().incr('n').exec(), [9]);
  await db.watch('n');
  await db.unwatch();
  await other.incr('n');
  assert.deepEqual(await db.multi().get('n').exec(), ['10']);
});

inBoth('scans see every key', async (db) => {
  const wanted = Array.from({ length: 3000 }, (_, i) => `user:${i}`);
  await Promise.all(wanted.map((key) => db.set(key, '.')));
  const seen = new Set();
  for await (const keys of db.scanIterator({ COUNT: 100 })) {
    keys.forEach((key) => seen.add(key));
  }
  assert.deepEqual([...seen].sort(), wanted.sort());
  const some = [];
  for await (const keys of db.scanIterator({ MATCH: 'user:12??', TYPE: 'string' })) {
    some.push(...keys);
  }
  assert.equal(new Set(some).size, 100);
});

inBoth('replies with a shape', async (db, server, own, RESP) => {
  assert.deepEqual({ ...(await db.configGet('databases')) }, { databases: '16' });
  const info = await db.info('keyspace');
  assert.match(info, /# Keyspace/);
  assert.ok((await db.time()).length === 2);
  const hello = await db.hello();
  assert.deepEqual([hello.proto, hello.role], [RESP, 'master']);
  assert.equal(typeof (await db.memoryStats())['peak.allocated'], 'number');
  assert.deepEqual(await db.role(), { role: 'master', replicationOffest: 0, replicas: [] });
  const set = (await db.commandInfo(['set']))[0];
  assert.deepEqual([set.name, set.arity, set.flags.has('write')], ['set', -3, true]);
  const commands = (await db.commandList()).filter((name) => !name.includes('|'));
  assert.equal(await db.commandCount(), commands.length);
});

inBoth('values of a mebibyte and more', async (db) => {
  const bytes = db.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  const values = [MIB, MIB + 1, 8 * MIB].map(noise);
  await Promise.all(values.map((value, i) => bytes.set(`large:${i}`, value)));
  const got = await Promise.all(values.map((_, i) => bytes.get(`large:${i}`)));
  values.forEach((value, i) => assert.ok(value.equals(got[i])));
});

inBoth('errors are Redis\'s own', async (db) => {
  const fails = (words, message) => assert.rejects(db.sendCommand(words), (error) => {
    assert.ok(error instanceof ErrorReply);
    assert.equal(error.message, message);
    return true;
  });
  await db.set('text', 'abc');
  await fails(['INCR', 'text'], 'ERR value is not an integer or out of range');
  await fails(['GET'], 'ERR wrong number of arguments for \'get\' command');
  await fails(['NONSENSE', 'a', 'b'],
    'ERR unknown command \'NONSENSE\', with args beginning with: \'a\' \'b\' ');
  await fails(['SET', 'k', 'v', 'EX', '0'], 'ERR invalid expire time in \'set\' command');
  await fails(['SET', 'k', 'v', 'NX', 'XX'], 'ERR syntax error');
  await fails(['SELECT', '99'], 'ERR DB index is out of range');
  assert.equal(await db.get('text'), 'abc');
});

inBoth('it comes back after CLIENT KILL', async (db, server, own) => {
  const other = await connect(server, own);
  await db.select(3);
  await db.set('k', 'v');
  const id = await db.clientId();
  let reconnects = 0;
  db.on('reconnecting', () => reconnects++);
  assert.equal(await other.clientKill({ filter: 'ID', id }), 1);
  await until(() => reconnects > 0, 'the client sees that it was killed');
  assert.equal(await db.get('k'), 'v'); // waits for the connection, which is in database 3 again
  assert.notEqual(await db.clientId(), id);
});

inBoth('what is not there is refused', async (db, server, own) => {
  const listener = own(db.duplicate().on('error', () => {}), () => listener.destroy());
  await listener.connect();
  await assert.rejects(listener.subscribe('channel', () => {}), /ERR unknown command 'subscribe'/i);
  await assert.rejects(db.publish('channel', 'x'), /ERR unknown command 'publish'/i);
  await assert.rejects(db.eval('return 1', { keys: [], arguments: [] }), /no Lua/);
  assert.equal(await db.ping(), 'PONG');
});

clientTest('a pool shares its connections', async (server, own) => {
  const pool = await createClientPool({ socket: { port: server.port } }, { maximum: 4 }).connect();
  own(pool, () => pool.destroy());
  await Promise.all(Array.from({ length: 500 }, () => pool.incr('n')));
  assert.equal(await pool.get('n'), '500');
  const held = await pool.execute(async (client) => {
    await client.watch('n');
    return client.multi().incr('n').exec();
  });
  assert.deepEqual(held, [501]);
});

clientTest('a unix socket serves', async (server, own) => {
  const db = await connect(server, own, { socket: { path: server.unixsocket } });
  await db.set('k', 'v');
  assert.equal(await (await connect(server, own)).get('k'), 'v');
});

clientTest('it waits for a server that starts again', async (server, own) => {
  const db = await connect(server, own);
  await db.set('k', 'v');
  await server.restart();
  await until(() => db.set('k', 'again').catch(() => false), 'a set succeeds');
  assert.equal(await db.get('k'), 'again');
});

clientTest('a password is given', async (server, own) => {
  const url = (password) => `redis://${password}127.0.0.1:${server.port}/2`;
  for (const RESP of [2, 3]) {
    const db = await connect(server, own, { url: url(':open%20sesame@'), RESP, name: 'by-name' });
    assert.equal(await db.clientGetName(), 'by-name');
    assert.equal((await db.clientInfo()).db, 2);
    await assert.rejects(connect(server, own, { url: url(':wrong@'), RESP,
      socket: { reconnectStrategy: false } }), /WRONGPASS/);
  }
  const guest = await connect(server, own, { url: url('').slice(0, -2), disableClientInfo: true });
  await assert.rejects(guest.get('k'), /NOAUTH Authentication required/);
}, '--requirepass=open sesame');
