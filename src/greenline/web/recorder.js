// Records a voice note with the microphone: press, speak, send or throw away.
const LONGEST = 600; // seconds
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];

export default {
  template: `
    <div class="gl-recorder">
      <button type="button" class="gl-icon" aria-label="Record a voice note" title="Record a voice note"
        :disabled="state !== 'idle'" @click="start"><i class="q-icon material-icons">mic</i></button>
      <div v-if="state !== 'idle'" class="gl-recording" role="group" aria-label="Voice note">
        <button type="button" class="gl-icon" aria-label="Throw away" title="Throw away" @click="finish(false)">
          <i class="q-icon material-icons">delete</i></button>
        <span class="gl-recording-dot"></span>
        <span class="gl-recording-time" role="timer">{{ time }}</span>
        <div class="gl-recording-level"><span v-for="(level, place) in levels" :key="place"
          :style="{height: Math.max(8, level) + '%'}"></span></div>
        <button type="button" class="gl-icon gl-send" aria-label="Send voice note" title="Send voice note"
          :disabled="state !== 'recording'" @click="finish(true)"><i class="q-icon material-icons">send</i></button>
      </div>
    </div>`,
  props: { url: String },
  emits: ["failed"],
  data() {
    return { state: "idle", seconds: 0, levels: Array(40).fill(0) };
  },
  computed: {
    time() {
      const whole = Math.floor(this.seconds);
      return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    },
  },
  beforeUnmount() {
    this.finish(false);
  },
  methods: {
    async start() {
      this.state = "starting";
      try {
        if (!navigator.mediaDevices) throw new Error("the browser asks for https, or for localhost");
        this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
        if (this.state !== "starting") return this.release(); // thrown away while the browser asked
        const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
        this.recorder = new MediaRecorder(this.stream, { mimeType, audioBitsPerSecond: 48000 });
      } catch (error) {
        this.release();
        this.$emit("failed", String(error.message || error));
        return;
      }
      this.chunks = [];
      this.recorder.ondataavailable = (event) => this.chunks.push(event.data);
      this.recorder.onstop = () => this.deliver();
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
      this.wanted = send;
      if (this.state === "recording") {
        this.state = "stopping";
        this.recorder.stop();
      } else if (this.state === "starting") this.release();
    },
    async deliver() {
      const note = new Blob(this.chunks, { type: this.recorder.mimeType });
      this.release();
      if (!this.wanted) return;
      const form = new FormData();
      form.append("file", note, "voice-note");
      try {
        const answer = await fetch(window.path_prefix + this.url, { method: "POST", body: form });
        if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      } catch (error) {
        this.$emit("failed", String(error.message || error));
      }
    },
    release() {
      clearInterval(this.timer);
      this.stream?.getTracks().forEach((track) => track.stop());
      this.sound?.close();
      this.stream = this.sound = this.timer = undefined;
      this.seconds = 0;
      this.levels = Array(40).fill(0);
      this.state = "idle";
    },
  },
};
