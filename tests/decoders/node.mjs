// The JavaScript decoder on files: one line of JSON per record. Where this Node has no Zstandard, a package unpacks.
// Arguments: module of the decoder, directory of dictionaries, files.

import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import * as path from 'node:path'
import { pathToFileURL } from 'node:url'
import * as zlib from 'node:zlib'

const [decoder, directory, ...files] = process.argv.slice(2)
const { decode, loadDictionaries } = await import(pathToFileURL(decoder))
const [major, minor] = process.versions.node.split('.').map(Number)
// The option `dictionary` came after the functions.
const builtIn = zlib.zstdDecompressSync !== undefined && (major > 24 || (major === 24 && minor >= 6))

async function packaged () {
  const zstd = createRequire(path.join(process.env.WEIR_TEST_NODE_MODULES, 'x.js'))('@bokuweb/zstd-wasm')
  await zstd.init()
  return (frame, dictionary) => zstd.decompressUsingDict(zstd.createDCtx(), frame, dictionary ?? new Uint8Array())
}

const options = { dictionaries: loadDictionaries(directory) }
if (!builtIn) options.unpack = await packaged()
for (const file of files) {
  try {
    for (const record of decode(fs.readFileSync(file), options)) console.log(JSON.stringify(record))
  } catch (error) {
    console.log(JSON.stringify({ error: error.constructor.name }))
  }
}
