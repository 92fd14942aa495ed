// Runs electron-updater, the real one, outside Electron: checks a feed, downloads, and says what happened as one line of JSON.
//
//   node electron.mjs '{"feed": URL, "platform": "win32"|"darwin"|"linux", "version": "1.0.0", "home": DIRECTORY,
//                       "download": true, "headers": {…}, "appImage": FILE}'
//
// HOME/cache/app/installer.exe (Windows) or appImage (Linux) is the file installed now; with it the update is a delta.

import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { HttpExecutor, configureRequestOptions, configureRequestUrl } = require("builder-util-runtime");
const { AppImageUpdater } = require("electron-updater/out/AppImageUpdater");
const { NsisUpdater } = require("electron-updater/out/NsisUpdater");

const job = JSON.parse(process.argv[2]);
const requests = [];

/** What electron-updater uses in Electron, over Node's own HTTP client. */
class Executor extends HttpExecutor {
    createRequest(options, callback) {
        const { hostname, port, path, headers, method } = options;
        return http.request({ hostname, port, path, headers, method }, (response) => {
            const seen = { path, range: headers?.Range ?? null, status: response.statusCode, type: response.headers["content-type"] ?? null, bytes: 0 };
            requests.push(seen);
            response.on("data", (block) => (seen.bytes += block.length));
            callback(response);
        });
    }

    download(url, destination, options) {
        return options.cancellationToken.createPromise((resolve, reject, onCancel) => {
            const request = { headers: options.headers || undefined, redirect: "manual" };
            configureRequestUrl(url, request);
            configureRequestOptions(request);
            const callback = (error) => (error == null ? resolve(destination) : reject(error));
            this.doDownload(request, { destination, options, onCancel, callback, responseHandler: null }, 0);
        });
    }
}

fs.mkdirSync(path.join(job.home, "cache"), { recursive: true });
const settings = path.join(job.home, "app-update.yml");
fs.writeFileSync(settings, `provider: generic\nurl: ${job.feed}\nupdaterCacheDirName: app\n`);
const app = {
    version: job.version,
    name: "app",
    isPackaged: true,
    appUpdateConfigPath: settings,
    userDataPath: job.home,
    baseCachePath: path.join(job.home, "cache"),
    whenReady: () => Promise.resolve(),
    relaunch() {},
    quit() {},
    onQuit() {},
};
if (job.appImage) {
    process.env.APPIMAGE = job.appImage;
}
const updater = new (job.platform === "linux" ? AppImageUpdater : NsisUpdater)(null, app);
const log = [];
const note = (...words) => void log.push(words.join(" "));
updater.logger = { info: note, warn: note, error: note, debug() {} };
updater.httpExecutor = new Executor();
updater.requestHeaders = job.headers ?? null;
// Set for the check only, which takes the name of the yml from it; the download goes the way of users.
updater._testOnlyOptions = { platform: job.platform, isUseDifferentialDownload: true };
updater.autoDownload = false;
updater.disableWebInstaller = true;
updater.on("error", () => {});
updater.setFeedURL({ provider: "generic", url: job.feed, useMultipleRangeRequest: true });

const told = { available: null, version: null, file: null, error: null };
try {
    const found = await updater.checkForUpdates();
    told.available = found.isUpdateAvailable;
    told.version = found.updateInfo.version;
    if (job.download && found.isUpdateAvailable) {
        updater._testOnlyOptions = null;
        const [file] = await updater.downloadUpdate();
        told.file = file;
        told.sha512 = createHash("sha512").update(fs.readFileSync(file)).digest("base64");
    }
} catch (error) {
    told.error = error.code ?? String(error);
    note(String(error.stack ?? error));
}
console.log(JSON.stringify({ ...told, requests, log }));
process.exit(0);
