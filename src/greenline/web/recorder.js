// Records a voice note with the microphone: press, speak, send or throw away.
const LONGEST = 600; // seconds
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];

export default {
  template: `
    <div class="gl-recorder">
      <button type="button" class="gl-icon" aria-label="Record a voice note" title="Record a voice note"
        :disabled="state !== 'idle'" @click="start"><i class="q-icon material-icons">mic</i></button>
      <div v-if="state !== 'idle'" class="gl-recording" role="group" aria-label="Voice note">
        <button type="button" class="gl-icon" aria-label="Throw away" title="Throw away"
          :disabled="state === 'sending'" @click="finish(false)"><i class="q-icon material-icons">delete</i></button>
        <div v-if="note" class="gl-grow gl-small" role="status">{{ why || "sending …" }}</div>
        <template v-else>
          <span class="gl-recording-dot"></span>
          <span class="gl-recording-time" role="timer">{{ time }}</span>
          <div class="gl-recording-level"><span v-for="(level, place) in levels" :key="place"
            :style="{height: Math.max(8, level) + '%'}"></span></div>
        </template>
        <button type="button" class="gl-icon gl-send" aria-label="Send voice note" title="Send voice note"
          :disabled="!['recording', 'unsent'].includes(state)" @click="finish(true)"><i class="q-icon material-icons">send</i></button>
      </div>
    </div>`,
  props: { url: String },
  emits: ["failed"],
  data() {
    return { state: "idle", note: null, why: "", seconds: 0, levels: Array(40).fill(0) };
  },
  computed: {
    time() {
      const whole = Math.floor(this.seconds);
      return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    },
  },
  mounted() {
    window.addEventListener("beforeunload", this.hold);
  },
  beforeUnmount() {
    window.removeEventListener("beforeunload", this.hold);
    this.finish(false);
  },
  methods: {
    // The browser asks before a page goes with a recording in it, also where the page would load itself anew.
    hold(event) {
      if (this.state !== "idle") event.preventDefault();
    },
    async start() {
      this.state = "starting";
      this.address = this.url; // whoever is shown when it is sent: it was spoken here
      const note = (this.begun = {}); // what the browser lends after it was thrown away belongs to no other
      try {
        if (!navigator.mediaDevices) throw new Error("the browser asks for https, or for localhost");
        const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
        if (this.begun !== note) return stream.getTracks().forEach((track) => track.stop());
        this.stream = stream;
        const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
        this.recorder = new MediaRecorder(this.stream, { mimeType, audioBitsPerSecond: 48000 });
      } catch (error) {
        if (this.begun !== note) return;
        this.release();
        this.$emit("failed", `The microphone can't be used: ${error.message || error}`);
        return;
      }
      this.chunks = [];
      this.recorder.ondataavailable = (event) => this.chunks.push(event.data);
      this.recorder.onstop = () => this.stopped();
      this.recorder.start();
      this.began = performance.now();
      this.state = "recording";
      this.meter();
    },
    meter() {
      this.sound = new AudioContext();
      const analyser = this.sound.createAnalyser();
      this.sound.createMediaStreamSource(this.stream).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      this.timer = setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
        this.levels = [...this.levels.slice(1), Math.min(100, Math.sqrt(power) * 400)];
        this.seconds = (performance.now() - this.began) / 1000;
        if (this.seconds >= LONGEST) this.finish(true);
      }, 100);
    },
    finish(send) {
      if (this.state === "recording") {
        this.wanted = send;
        this.state = "stopping";
        this.recorder.stop();
      } else if (this.state === "starting" || (this.state === "unsent" && !send)) this.release();
      else if (this.state === "unsent") this.deliver();
    },
    stopped() {
      const note = new Blob(this.chunks, { type: this.recorder.mimeType });
      const isLost = this.state === "recording"; // stopped by itself: the microphone was pulled out
      this.release();
      if (!isLost && !this.wanted) return;
      this.note = note;
      this.why = isLost ? "The microphone is gone. Send what was recorded?" : "";
      this.state = "unsent";
      if (!isLost) this.deliver();
    },
    async deliver() {
      this.state = "sending";
      this.why = "";
      try {
        const answer = await fetch(window.path_prefix + this.address, { method: "POST", body: this.note });
        if (answer.status >= 500) throw new Error(`the server answered ${answer.status}`);
        if (!answer.ok) this.$emit("failed", await answer.text());
        this.release();
        if (!window.socket.connected) window.location.reload(); // which waited for the recording
      } catch (error) {
        this.why = `Not sent: ${error.message || error}`;
        this.state = "unsent";
      }
    },
    release() {
      clearInterval(this.timer);
      this.stream?.getTracks().forEach((track) => track.stop());
      this.sound?.close();
      this.begun = this.stream = this.sound = this.timer = undefined;
      this.note = null;
      this.why = "";
      this.seconds = 0;
      this.levels = Array(40).fill(0);
      this.state = "idle";
    },
  },
};
