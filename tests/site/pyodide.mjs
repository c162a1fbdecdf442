// Runs a Python program under Pyodide, in Node: node pyodide.mjs '{"pyodide": ..., "packages": [...], "folders": {...}}' PROGRAM
// `folders` are those of this machine that the program sees, by the names that it sees them under. The value of its last
// line is printed; what it prints goes to stderr.
const [settings, program] = process.argv.slice(2);
const { pyodide, packages, folders } = JSON.parse(settings);
const { loadPyodide } = await import(`${pyodide}/pyodide.mjs`);
const python = await loadPyodide({ indexURL: `${pyodide}/`, stdout: console.error, stderr: console.error });
await python.loadPackage(packages, { messageCallback: () => {} });
for (const [name, folder] of Object.entries(folders)) {
  python.FS.mkdirTree(name);
  python.mountNodeFS(name, folder);
}
try {
  process.stdout.write(await python.runPythonAsync(program));
} catch (error) {
  console.error(String(error.message).slice(-4000));
  process.exitCode = 1;
}
