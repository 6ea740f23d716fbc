// Plays a sound: a button, the waveform as progress, the length. One sound at a time.
let playing = null;

export default {
  template: `
    <div class="gl-player">
      <button type="button" class="gl-play" :aria-label="on ? 'Pause' : 'Play'" @click="toggle">
        <i class="q-icon material-icons">{{ on ? "pause" : "play_arrow" }}</i></button>
      <div class="gl-wave" role="slider" tabindex="0" aria-label="Position" aria-valuemin="0"
        :aria-valuemax="Math.round(length)" :aria-valuenow="Math.round(at)" :aria-valuetext="clock(at)"
        @click="seek" @keydown.left.prevent="move(-5)" @keydown.right.prevent="move(5)">
        <span v-for="(peak, place) in peaks" :key="place" :style="{height: Math.max(8, peak) + '%'}"
          :class="{past: at > 0 && place < (at / length) * peaks.length}"></span></div>
      <span class="gl-player-time">{{ clock(on || at > 0 ? at : length) }}</span>
      <span v-if="broken" class="gl-player-broken" role="status">can't be played now</span>
    </div>`,
  props: { src: String, seconds: Number, peaks: Array },
  emits: ["played"],
  data() {
    return { on: false, at: 0, broken: false };
  },
  computed: {
    length() {
      return Math.max(this.seconds, 0.1);
    },
  },
  beforeUnmount() {
    this.pause();
    if (this.address) URL.revokeObjectURL(this.address);
  },
  methods: {
    clock(seconds) {
      const whole = Math.round(seconds);
      return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    },
    loaded() {
      this.loading ??= this.load().catch((error) => {
        this.loading = undefined; // it may go better next time
        throw error;
      });
      return this.loading;
    },
    async load() {
      // As a whole, so that one can move to any place whatever the server can do.
      const answer = await fetch(window.path_prefix + this.src);
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      this.address = URL.createObjectURL(await answer.blob());
      this.sound = new Audio(this.address);
      this.sound.ontimeupdate = () => (this.at = Math.min(this.sound.currentTime, this.length));
      this.sound.onended = () => {
        this.on = false;
        this.at = 0;
      };
    },
    async toggle() {
      if (this.on) return this.pause();
      if (playing && playing !== this) playing.pause();
      playing = this;
      this.on = true;
      this.broken = false;
      try {
        await this.loaded();
        if (!this.on) return; // pressed again, or another sound plays: this one came too late
        await this.sound.play();
        this.$emit("played");
      } catch (error) {
        this.broken = this.on;
        this.on = false;
        console.warn("The sound can't be played:", error);
      }
    },
    pause() {
      this.sound?.pause();
      this.on = false;
    },
    async seek(event) {
      const area = event.currentTarget.getBoundingClientRect();
      await this.moveTo(((event.clientX - area.left) / area.width) * this.length);
    },
    async move(seconds) {
      await this.moveTo(this.at + seconds);
    },
    async moveTo(seconds) {
      try {
        await this.loaded();
      } catch (error) {
        this.broken = true;
        return console.warn("The sound can't be played:", error);
      }
      this.sound.currentTime = this.at = Math.min(Math.max(0, seconds), this.length - 0.05);
    },
  },
};
