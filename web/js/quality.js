// Automatic quality. The house sends a second of video in a second, so how fast the line is shows only while it is
// busy: in the burst at the beginning, and when frames come late. Down at once, up with care.

const TRAIN_GAP = 0.6; // of the time between two frames: arrivals closer than this belong to one burst
const TRAIN_FRAMES = 3;
const WINDOW_MS = 2000;
const LATE_SHARE = 0.2;
const SETTLE_MS = 700; // after a change, so long nothing is concluded from lateness
const HEALTHY_MS = 1800; // so long all must be well before a step up
const HOLD_MS = 8000; // after a step down; doubled each time it turns out to have been right
const LONGEST_HOLD_MS = 30_000;
const SAME_TROUBLE_MS = 6000; // steps down so close together have one cause, and count once
const FORGIVEN_MS = 15_000; // after so long without trouble, the next hold is the shortest again
const PROBE_MS = 20_000; // after so long without trouble a step up is tried, whatever the line was measured to carry
const ROOM_UP = 1.6; // the next quality must fit this often
const ROOM_DOWN = 1.25;
// A JPEG grows a little slower than its area.
const GROWTH = 0.85;

export class Meter {
  constructor() {
    this.costs = new Map(); // quality index → mean bytes of a frame
    this.reset();
    this.capacity = 0; // bytes a second while busy, 0: not known yet
  }

  reset() {
    this.arrivals = [];
    this.train = null;
    this.troubles = [];
  }

  arrived(bytes, quality, lead, now, due) {
    this.arrivals.push({ now, bytes, lead });
    const old = now - WINDOW_MS;
    while (this.arrivals[0]?.now < old) this.arrivals.shift();
    const mean = this.costs.get(quality);
    this.costs.set(quality, mean === undefined ? bytes : mean + (bytes - mean) * 0.1);
    // Where frames come late the line is busy all the time, whatever the pauses.
    const busy = this.train && (now - this.train.last < TRAIN_GAP * Math.min(100, due - this.train.due) || lead < 0);
    if (!busy) this.train = { from: now, last: now, due, bytes: 0, frames: 0 };
    else {
      this.train.bytes += bytes;
      this.train.frames += 1;
      this.train.last = now;
      this.train.due = due;
      if (this.train.frames >= TRAIN_FRAMES) this.#learn(this.train.bytes / Math.max(0.002, (now - this.train.from) / 1000));
      if (now - this.train.from > 1000) this.train = { from: now, last: now, due, bytes: 0, frames: 0 };
    }
    if (lead < 0) this.troubles.push(now);
  }

  #learn(rate) {
    this.capacity = this.capacity === 0 ? rate : this.capacity + (rate - this.capacity) * (rate < this.capacity ? 0.3 : 0.15);
  }

  /** The line was full, so what came through is what it carries. */
  congested() {
    const rate = this.rate();
    if (rate > 0 && (this.capacity === 0 || rate < this.capacity)) this.capacity = rate;
  }

  dropped() { this.troubles.push(performance.now()); }
  slipped() { for (let i = 0; i < 5; i++) this.troubles.push(performance.now()); }

  /** Bytes a second, of the last two seconds. */
  rate() {
    const now = performance.now();
    const recent = this.arrivals.filter((a) => a.now > now - WINDOW_MS);
    if (recent.length < 2) return 0;
    const time = Math.max(250, now - recent[0].now);
    return (recent.reduce((sum, { bytes }) => sum + bytes, 0) / time) * 1000;
  }

  lateShare() {
    const from = performance.now() - 1000;
    while (this.troubles[0] < from) this.troubles.shift();
    const came = this.arrivals.filter(({ now }) => now > from).length;
    return this.troubles.length / Math.max(8, came);
  }
}

export class AutoQuality {
  constructor(meter) {
    this.meter = meter;
    this.hold = HOLD_MS; // of the next step down
    this.held = HOLD_MS; // of the last one
    this.lastDown = -Infinity;
    this.notBefore = 0; // no step up before
    this.changed = 0;
    this.wellSince = 0;
    this.pick = 0;
  }

  begin(video) {
    if (this.video !== video.name) { this.meter.costs.clear(); this.pick = 0; this.hold = HOLD_MS; }
    this.video = video.name;
    this.qualities = video.qualities;
    this.fps = video.fps;
    this.pick = Math.min(this.pick, video.qualities.length - 1);
    this.#settle();
    return this.qualities[this.pick].quality;
  }

  #settle() {
    this.changed = performance.now();
    this.wellSince = 0;
    this.meter.reset();
  }

  /** Bytes a second that a quality needs, from what was seen of it or of the nearest one. */
  cost(index) {
    const { costs } = this.meter;
    const area = (i) => this.qualities[i].width * this.qualities[i].height;
    const known = [...costs.keys()].filter((i) => i < this.qualities.length).sort((a, b) => Math.abs(a - index) - Math.abs(b - index))[0];
    if (known === undefined) return 0;
    return costs.get(known) * (area(index) / area(known)) ** GROWTH * this.fps;
  }

  /** To be called a few times a second while playing; a quality's name when it should change. */
  tick(buffer) {
    const now = performance.now();
    if (now - this.changed < SETTLE_MS) return null;
    const bad = this.meter.lateShare() > LATE_SHARE || buffer < -150;
    if (bad) {
      this.wellSince = 0;
      if (this.pick === 0) return null;
      this.meter.congested();
      const line = this.meter.capacity;
      let to = this.pick - 1;
      while (to > 0 && line > 0 && this.cost(to) * ROOM_DOWN > line) to -= 1;
      this.pick = to;
      if (now - this.lastDown > SAME_TROUBLE_MS) {
        this.held = this.hold;
        this.hold = Math.min(LONGEST_HOLD_MS, this.hold * 2);
      }
      this.lastDown = now;
      this.notBefore = now + this.held;
      this.#settle();
      return this.qualities[to].quality;
    }
    this.wellSince ||= now;
    if (now > this.notBefore && now - this.lastDown > this.held + FORGIVEN_MS) this.hold = HOLD_MS;
    const next = this.pick + 1;
    if (next >= this.qualities.length || now < this.notBefore || now - this.wellSince < HEALTHY_MS || buffer < 100) return null;
    const probe = now - this.wellSince > PROBE_MS; // between bursts nothing tells that a slow line has become fast
    if (!probe && this.meter.capacity > 0 && this.cost(next) * ROOM_UP > this.meter.capacity) return null;
    this.pick = next;
    this.#settle();
    return this.qualities[next].quality;
  }
}
