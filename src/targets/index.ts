// targets: machines that are not ours as systems under test. They run the carried lowering and send a report.

export { readReport, type ReportOptions } from "./report.js";
