import assert from "assert";

import { parseWrk } from "../../bench/web";

/** As wrk 4.1.0 prints it; the last column above the distribution may well end in 50% or 99%. */
const OUTPUT = `Running 10s test @ http://localhost:32009/User_data
  2 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    37.55ms   12.34ms 201.77ms   81.50%
    Req/Sec   214.63     31.72   280.00     67.99%
  Latency Distribution
     50%   36.01ms
     75%   42.10ms
     90%   50.67ms
     99%   80.30ms
  4284 requests in 10.03s, 25.41MB read
Requests/sec:    427.12
Transfer/sec:      2.53MB
`;

describe("the measurement of the web tier", () => {
    it("takes rate and latencies from what wrk prints", () => {
        assert.deepStrictEqual(parseWrk(OUTPUT), {
            perSecond: 427.12,
            median: "36.01ms",
            slowest: "80.30ms",
        });
    });

    it("refuses an output that is cut off", () => {
        assert.throws(() => parseWrk(OUTPUT.split("Requests/sec")[0]!), /wrk printed no .*Requests/);
    });
});
