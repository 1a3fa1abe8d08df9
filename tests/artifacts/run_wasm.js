// node run_wasm.js module.wasm x.f32 count: runs net_run on x and prints the first output's floats.
const fs = require('fs');
const [file, input, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const module_ = new WebAssembly.Module(fs.readFileSync(file));
if (WebAssembly.Module.imports(module_).length) throw new Error('the module imports something');
const code = new WebAssembly.Instance(module_, {}).exports;
const bytes = fs.readFileSync(input);
const x = (code.__heap_base.value + 63) & ~63;
const y = x + ((bytes.length + 63) & ~63);
const table = y + ((4 * count + 63) & ~63);
const workspace = table + 64;
const needed = workspace + code.net_workspace_size() - code.memory.buffer.byteLength;
if (needed > 0) code.memory.grow(Math.ceil(needed / 65536));
new Uint8Array(code.memory.buffer, x, bytes.length).set(bytes);
new Int32Array(code.memory.buffer, table, 2).set([x, y]);
const status = code.net_run(table, table + 4, workspace);
if (status) throw new Error(`status ${status}`);
if (code.net_run(0, 0, 0) !== 1) throw new Error('null pointers are not refused');
console.log(Array.from(new Float32Array(code.memory.buffer, y, count)).join(' '));
