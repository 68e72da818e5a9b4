// SPDX-License-Identifier: MIT
// What a test of npm's clients holds in its hand: the program under test on free ports of
// 127.0.0.1, fresh for each test, and a place to put what must be closed before the server is asked
// to end. A server that does not end with exit code 0, or leaves a sanitizer's report, fails the
// test.
//
// E2E_BIN and E2E_NO_RSS are explained in tests/README.md.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');

const BINARY = path.resolve(process.env.E2E_BIN || path.join(__dirname, '../../build/ebb'));
const SLOW_FACTOR = (process.env.E2E_NO_RSS || '0') === '0' ? 1 : 10; // builds slow on purpose
const TEST_MS = 60000 * SLOW_FACTOR;
const READY_MS = 20000 * SLOW_FACTOR;
const STOP_MS = 30000;
const REPORTS = /AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|[Aa]ssertion/;

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
process.on('SIGTERM', () => process.exit(1));

// Nothing of the caller's EBB_* reaches the server: these names are its settings.
function environment() {
  const all = Object.entries(process.env);
  return Object.fromEntries(all.filter(([name]) => !name.startsWith('EBB_')));
}

const dealt = new Set(); // a server that is given one port twice can't start

// A port that nobody listens on, below those that the kernel deals out to clients; each once.
async function freePort() {
  for (;;) {
    const port = 12000 + Math.floor(Math.random() * 20000);
    if (dealt.has(port)) {
      continue;
    }
    dealt.add(port);
    const isFree = await new Promise((resolve) => {
      const probe = net.createServer().on('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (isFree) {
      return port;
    }
  }
}

function answers(port) {
  return new Promise((resolve) => {
    const probe = net.connect(port, '127.0.0.1').on('error', () => resolve(false));
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
  });
}

class Server {
  // Resolves when all three ports take connections.
  static async start(...options) {
    const server = new Server();
    server.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ebb-clients-'));
    server.port = await freePort();
    server.memcachedPort = await freePort();
    server.httpPort = await freePort();
    server.unixsocket = path.join(server.folder, 'socket');
    server.options = [`--port=${server.port}`, `--memcached-port=${server.memcachedPort}`,
      `--http-port=${server.httpPort}`, `--unixsocket=${server.unixsocket}`, ...options];
    await server.run();
    return server;
  }

  async run() {
    const log = fs.openSync(path.join(this.folder, 'log'), 'a');
    this.child = spawn(BINARY, this.options, { stdio: ['ignore', log, log], env: environment() });
    fs.closeSync(log);
    running.add(this.child);
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => resolve(error.message));
      this.child.on('exit', (code, signal) => resolve(signal || code));
    });
    this.ended.then(() => running.delete(this.child));
    for (const end = Date.now() + READY_MS; !(await answers(this.httpPort));) {
      if (Date.now() > end || !running.has(this.child)) {
        throw new Error(`the server does not start:\n${this.logText()}`);
      }
      await sleep(10);
    }
  }

  logText() {
    return fs.readFileSync(path.join(this.folder, 'log'), 'utf8');
  }

  async end() {
    this.child.kill('SIGTERM');
    const limit = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    const code = await this.ended;
    clearTimeout(limit);
    const text = this.logText();
    if (code !== 0 || REPORTS.test(text)) {
      throw new Error(`the server ended with ${code}:\n${text.slice(-6000)}`);
    }
  }

  // Ends it and starts it again on the same ports: what it held is gone.
  async restart() {
    await this.end();
    await this.run();
  }

  async stop() {
    await this.end();
    fs.rmSync(this.folder, { recursive: true });
  }
}

function withLimit(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// body(server, own): own(thing, close) gives the thing back and calls close() when the test ends,
// last owned first.
function clientTest(name, body, ...options) {
  test(name, async () => {
    const closers = [];
    let failure;
    const own = (thing, close) => {
      closers.unshift(close);
      return thing;
    };
    try {
      const server = await Server.start(...options);
      closers.push(() => server.stop());
      await withLimit(body(server, own), TEST_MS, name);
    } catch (error) {
      failure = error;
    }
    for (const close of closers) {
      await Promise.resolve().then(close).catch((error) => { failure ??= error; });
    }
    if (failure) {
      throw failure;
    }
  });
}

// Waits until condition() is true, or promises it.
async function until(condition, what) {
  for (const end = Date.now() + 10000 * SLOW_FACTOR; !(await condition()); await sleep(10)) {
    if (Date.now() > end) {
      throw new Error(`not in time: ${what}`);
    }
  }
}

// Bytes of each value, nothing that a text or a compressed form would survive by luck.
function noise(length) {
  const bytes = Buffer.allocUnsafe(length);
  let state = 2463534242;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 255;
  }
  return bytes;
}

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const MIB = 1 << 20;

module.exports = { clientTest, until, sleep, noise, EVERY_BYTE, MIB };
