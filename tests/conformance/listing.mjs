// Prints the tests of the suite in a folder as JSON: node listing.mjs FOLDER MODULE...
import { pathToFileURL } from 'node:url'

const [folder, ...modules] = process.argv.slice(2)
const listed = []
for (const module of modules) {
  const found = (await import(pathToFileURL(`${folder}/${module}`))).default
  for (const suite of Array.isArray(found) ? found : [found]) {
    for (const test of suite.tests) {
      listed.push({
        id: test.id,
        suite: suite.id,
        name: test.name,
        kind: test.kind ?? 'required',
        depends: test.depends_on ?? [],
        browser: test.browser_only === true
      })
    }
  }
}
console.log(JSON.stringify(listed))
