// A call on the phone: the person's microphone and loudspeaker by the browser's own WebRTC.
const WORDS = {
  calling: "calling …",
  ringing: "ringing …",
  incoming: "is calling you",
  connecting: "connecting …",
  reconnecting: "connection lost, trying again …",
};
const TICK_MS = 80;
const CHARACTERS_A_SECOND = 18; // of a voice at an ordinary pace
const PAUSE_SECONDS = 1.2; // a voice that is silent for so long has said all of a caption
const PATIENCE_SECONDS = 3; // for the voice of a caption that came before it
const HUNG_UP = "greenline.hung_up"; // the call whose end the server has yet to pass on
const VOICED = 0.01; // root mean square of samples between -1 and 1

// A tone is a list of [hertz, begins, ends] in seconds, repeated after `every`.
const RINGBACK = { every: 5, notes: [[425, 0, 1]] }; // ITU-T E.180: 425 Hz, 1 s in 5
const RING = { every: 3, notes: [[659, 0, 0.18], [784, 0.2, 0.38], [988, 0.4, 0.75], [659, 1, 1.18], [784, 1.2, 1.38], [988, 1.4, 1.75]] };
const OVER = { notes: [[425, 0, 0.2], [425, 0.4, 0.6], [425, 0.8, 1]] };
const LOUDNESS = 0.12;

const REFUSALS = {
  NotAllowedError: "The microphone is not allowed. Allow it in the address bar of the browser, then call again.",
  NotFoundError: "No microphone was found. Connect one, then call again.",
  NotReadableError: "The microphone is in use by another program.",
};

function level(analyser) {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
}

// Length of the text to the end of the word at a place: half words can't be read.
function wordsUpTo(text, place) {
  const end = text.indexOf(" ", Math.max(1, place));
  return end < 0 ? text.length : end;
}

function isAtWork(dialog) {
  const focused = document.activeElement;
  return focused && focused !== document.body && !dialog?.contains(focused);
}

export default {
  template: `
    <div class="gl-call-layer">
    <div v-if="state !== 'idle'" :class="['gl-call', {small}]" role="dialog" aria-label="Call" tabindex="-1"
      ref="dialog" @keydown.esc="small = running">
      <div class="gl-call-head">
        <div class="gl-avatar gl-call-avatar" ref="avatar" aria-hidden="true">{{ name.slice(0, 1).toUpperCase() }}</div>
        <div class="gl-call-name">{{ name }}</div>
        <div class="gl-call-state" role="status">{{ told }}</div>
        <div class="gl-call-note" v-if="aside">{{ aside }}</div>
      </div>
      <div class="gl-call-captions" ref="captions" role="log" aria-label="Captions" aria-live="off" v-show="!small">
        <div v-for="line in lines" :key="line.id" :class="['gl-caption', line.who]">
          <span class="gl-caption-who">{{ line.who === 'person' ? 'You' : name }}</span> {{ line.shown }}
        </div>
        <div v-if="speaking" class="gl-hearing" aria-hidden="true"><span></span><span></span><span></span></div>
      </div>
      <div class="gl-unseen" aria-live="polite">{{ announced }}</div>
      <div class="gl-call-buttons" v-if="state === 'incoming'">
        <label><button type="button" class="gl-call-button end" aria-label="Decline" @click="$emit('decline')">
          <i class="q-icon material-icons" aria-hidden="true">call_end</i></button>Decline</label>
        <label><button type="button" class="gl-call-button take" aria-label="Accept" @click="take">
          <i class="q-icon material-icons" aria-hidden="true">call</i></button>Accept</label>
      </div>
      <div class="gl-call-buttons" v-else-if="state === 'ended'">
        <label><button type="button" class="gl-call-button" aria-label="Close" @click="$emit('dismiss')">
          <i class="q-icon material-icons" aria-hidden="true">close</i></button>Close</label>
        <label><button type="button" class="gl-call-button take" aria-label="Call again" @click="$emit('again')">
          <i class="q-icon material-icons" aria-hidden="true">call</i></button>Call again</label>
      </div>
      <div class="gl-call-buttons" v-else>
        <label v-if="!elsewhere"><button type="button" :class="['gl-call-button', {on: muted}]" :aria-pressed="muted" aria-label="Mute"
          ref="mute" @click="mute"><i class="q-icon material-icons" aria-hidden="true">{{ muted ? 'mic_off' : 'mic' }}</i>
          </button>{{ muted ? 'Muted' : 'Mute' }}</label>
        <label><button type="button" class="gl-call-button" :aria-label="small ? 'Show the call' : 'Show the chat'"
          @click="small = !small"><i class="q-icon material-icons" aria-hidden="true">{{ small ? 'open_in_full' : 'chat' }}</i>
          </button>{{ small ? 'Call' : 'Chat' }}</label>
        <label><button type="button" class="gl-call-button end" aria-label="Hang up" @click="hangUp">
          <i class="q-icon material-icons" aria-hidden="true">call_end</i></button>Hang up</label>
      </div>
    </div>
    </div>`,
  props: { state: String, callId: String, name: String, note: String, why: String, elsewhere: Boolean, captions: Array },
  emits: ["offer", "accept", "decline", "hangup", "dismiss", "again", "failed"],
  data() {
    return { muted: false, small: false, weak: false, unheard: false, speaking: false, leaving: false, seconds: 0, shown: {} };
  },
  computed: {
    running() {
      return !["idle", "ended", "incoming"].includes(this.state);
    },
    told() {
      if (this.state === "ended") return this.note || "call ended";
      if (this.leaving) return "hanging up …";
      return this.state === "connected" ? this.clock : WORDS[this.state] || "";
    },
    aside() {
      if (this.state === "ended") return [this.why, this.seconds ? `It lasted ${this.clock}.` : ""].join(" ").trim();
      if (this.elsewhere) return "You speak in another window.";
      if (this.unheard) return "Your microphone is gone: you are not heard. Hang up, and call again with another.";
      if (this.weak) return "poor connection …";
      return this.muted ? "Your microphone is off." : "";
    },
    clock() {
      const whole = Math.floor(this.seconds);
      return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    },
    lines() {
      const begun = this.captions.filter((line) => this.shown[line.id] > 0);
      return begun.map((line) => ({ ...line, shown: line.text.slice(0, this.shown[line.id]) }));
    },
    announced() {
      const line = this.captions[this.captions.length - 1];
      return line ? `${line.who === "person" ? "You" : this.name}: ${line.text}` : "";
    },
  },
  watch: {
    state(state, before) {
      clearInterval(this.timer);
      if (before === "idle" || before === "ended") this.reset();
      if (before === "idle") {
        this.focused = document.activeElement;
        this.$nextTick(() => this.$refs.dialog?.focus());
      }
      if (state === "connected") this.talk();
      if (state === "ended" || state === "idle") this.close();
      // Not from somebody who writes in the chat meanwhile: their next Enter would call again.
      if (state === "idle" && !isAtWork(this.$refs.dialog)) this.focused?.focus?.();
      this.ring({ ringing: RINGBACK, incoming: RING, ended: OVER }[state]);
      if (state === "incoming" && navigator.userActivation?.hasBeenActive) navigator.vibrate?.([400, 200, 400]);
    },
    captions(captions) {
      if (captions.some((line) => line.who === "person" && !(line.id in this.shown))) this.speaking = false;
      this.toEnd();
    },
  },
  mounted() {
    const left = sessionStorage.getItem(HUNG_UP); // while the server was away
    if (left) this.$emit("hangup", left);
  },
  beforeUnmount() {
    clearInterval(this.timer);
    this.ring();
    this.close();
    this.context?.close();
  },
  methods: {
    reset() {
      this.muted = this.small = this.weak = this.unheard = this.speaking = this.leaving = false;
      this.seconds = this.voiced = this.silent = this.loud = 0;
      this.began = undefined;
      this.shown = {};
    },
    take() {
      this.ring();
      this.$emit("accept");
    },
    hangUp() {
      this.leaving = true;
      if (this.callId) sessionStorage.setItem(HUNG_UP, this.callId);
      this.$emit("hangup", this.callId);
    },
    settle(callId) {
      if (sessionStorage.getItem(HUNG_UP) === callId) sessionStorage.removeItem(HUNG_UP);
    },
    async offer() {
      this.close();
      const call = (this.call = {}); // what the browser brings after its end belongs to nobody
      try {
        if (!navigator.mediaDevices) throw new Error("The browser lends its microphone only to https, or to localhost.");
        const microphone = await navigator.mediaDevices.getUserMedia({
          audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true },
        });
        if (this.call !== call) return microphone.getTracks().forEach((track) => track.stop());
        this.microphone = microphone;
        this.obeyMute(); // pressed while the browser asked
        microphone.getTracks()[0].onended = () => (this.unheard = true); // pulled out, or taken back by the browser
        const peer = (this.peer = new RTCPeerConnection());
        peer.addTrack(this.microphone.getAudioTracks()[0], this.microphone);
        peer.ontrack = (event) => this.listen(event.track);
        peer.onconnectionstatechange = () => {
          this.weak = peer.connectionState === "disconnected";
          if (peer.connectionState === "failed") this.$emit("failed", "The connection was lost.");
        };
        await peer.setLocalDescription(await peer.createOffer());
        await this.gathered(peer);
        if (this.call !== call) return;
        this.own = this.meter(this.microphone);
        this.$emit("offer", peer.localDescription.sdp);
      } catch (error) {
        if (this.call !== call) return;
        this.close();
        this.$emit("failed", REFUSALS[error.name] || String(error.message || error));
      }
    },
    gathered(peer) {
      if (peer.iceGatheringState === "complete") return;
      return new Promise((done) => {
        peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
      });
    },
    async answer(sdp) {
      await this.peer?.setRemoteDescription({ type: "answer", sdp });
    },
    listen(track) {
      const stream = new MediaStream([track]);
      const speaker = (this.speaker = new Audio());
      speaker.srcObject = stream;
      speaker.play().catch((error) => {
        // A call that is over has stopped its loudspeaker itself, perhaps before it began.
        if (this.speaker === speaker) this.$emit("failed", `No sound can be played: ${error.message}`);
      });
      this.theirs = this.meter(stream);
    },
    mute() {
      this.muted = !this.muted;
      this.obeyMute();
    },
    obeyMute() {
      this.microphone?.getAudioTracks().forEach((track) => (track.enabled = !this.muted));
    },
    close() {
      this.peer?.close();
      this.microphone?.getTracks().forEach((track) => track.stop());
      this.speaker?.pause();
      this.own?.source.disconnect();
      this.theirs?.source.disconnect();
      this.call = this.peer = this.microphone = this.speaker = this.own = this.theirs = undefined;
      this.muted = this.small = this.weak = this.unheard = this.speaking = false;
    },
    // What is said: the words of a caption appear as they are heard.
    talk() {
      this.began ??= performance.now(); // the call went on while the connection to the server was lost
      this.timer = setInterval(() => {
        this.seconds = (performance.now() - this.began) / 1000;
        this.hear(TICK_MS / 1000);
      }, TICK_MS);
    },
    hear(passed) {
      const [mine, theirs] = [this.own, this.theirs].map((meter) => (meter ? level(meter.analyser) : 0));
      this.$refs.mute?.style.setProperty("--level", Math.min(1, mine * 12));
      this.$refs.avatar?.style.setProperty("--level", Math.min(1, theirs * 8));
      this.loud = mine > VOICED ? this.loud + passed : Math.max(0, this.loud - passed / 4);
      if (this.loud > 0.3) this.speaking = true;
      if (this.loud === 0) this.speaking = false;
      this.silent = theirs > VOICED ? 0 : this.silent + passed;
      if (theirs > VOICED) this.voiced += passed;
      const next = this.captions.find((line) => !(this.shown[line.id] >= line.text.length));
      if (next && next.id !== this.current) {
        this.current = next.id;
        this.silent = 0; // its voice may still come
      }
      if (next) this.reveal(next);
      else if (this.silent > PAUSE_SECONDS) this.voiced = 0;
    },
    reveal(line) {
      const isSaid = this.silent > (this.voiced > 0 ? PAUSE_SECONDS : PATIENCE_SECONDS);
      const known = this.shown[line.id] || 0;
      const heard = line.who === "person" ? known + 8 : this.voiced * CHARACTERS_A_SECOND;
      if (heard > 0 || isSaid) this.shown[line.id] = isSaid ? line.text.length : wordsUpTo(line.text, heard);
      if (line.who === "agent" && this.shown[line.id] === line.text.length) this.voiced = 0;
      this.toEnd();
    },
    toEnd() {
      this.$nextTick(() => {
        const list = this.$refs.captions;
        if (list) list.scrollTop = list.scrollHeight;
      });
    },
    // Tones, made here; a browser that has not been touched yet stays silent.
    sound() {
      this.context = this.context || new AudioContext();
      if (this.context.state === "suspended") this.context.resume();
      return this.context;
    },
    meter(stream) {
      const context = this.sound();
      const source = context.createMediaStreamSource(stream);
      const analyser = context.createAnalyser();
      source.connect(analyser);
      return { source, analyser };
    },
    ring(tone) {
      clearInterval(this.bell);
      this.tones?.forEach((note) => note.stop());
      this.tones = [];
      if (!tone) return;
      const play = () => (this.tones = tone.notes.map((note) => this.beep(...note)));
      play();
      if (tone.every) this.bell = setInterval(play, tone.every * 1000);
    },
    beep(hertz, begins, ends) {
      const context = this.sound();
      const [tone, gain, now] = [context.createOscillator(), context.createGain(), context.currentTime];
      tone.frequency.value = hertz;
      gain.gain.setValueAtTime(0, now + begins);
      gain.gain.linearRampToValueAtTime(LOUDNESS, now + begins + 0.02);
      gain.gain.setValueAtTime(LOUDNESS, now + ends - 0.03);
      gain.gain.linearRampToValueAtTime(0, now + ends);
      tone.connect(gain).connect(context.destination);
      tone.start(now + begins);
      tone.stop(now + ends);
      return tone;
    },
  },
};
