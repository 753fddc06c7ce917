// Is a training going wrong? Judged by the newest part of its curve.

const GUESSING = Math.log(10); // the loss of a network that gives each of ten digits a tenth: 2.3026
const DEAD_POINTS = 30; // in a row, at exactly that loss
const DEAD_TOLERANCE = 1e-5; // of a loss in float32
const MEAN_POINTS = 10;
const LOOK_BACK_POINTS = 500;
const WORSE_THAN_GUESSING = 1.2; // times as high a loss
const FAR_ABOVE = { times: 3, plus: 0.5 }; // the lowest loss: a batch that is harder than most does not reach that
const FALLING = 0.8; // a loss that falls this fast is on its way back
const CALM_AGAIN = 0.8; // of the loss at which the alarm began: below it, it ends

/**
 * What is wrong with this training: "diverged" (the loss became no number, and training stopped), "dead" (all
 * hidden units are off, so nothing can be learnt any more), "diverging" (the loss runs away), or null.
 * `before` is the last answer: a loss that swings about the limit does not raise and drop the alarm each time.
 */
export function healthOf(curve, before = null) {
  if (hasDiverged(curve)) return "diverged";
  if (isDead(curve.loss)) return "dead";
  return isDiverging(curve.loss, before === "diverging") ? "diverging" : null;
}

/** The newest loss is no number; or the run was put back for that, and nobody has trained or changed the weights since. */
function hasDiverged({ iteration, loss, marks }) {
  if (loss.length > 0 && loss.at(-1) === null) return true;
  const mark = marks.findLast(({ kind }) => kind === "diverged" || kind === "reset" || kind === "restore" || kind === "upload");
  return mark?.kind === "diverged" && (iteration.at(-1) ?? -1) <= mark.iteration && !isDead(loss);
}

function isDead(loss) {
  if (loss.length < DEAD_POINTS) return false;
  return loss.slice(-DEAD_POINTS).every((value) => value !== null && Math.abs(value - GUESSING) < DEAD_TOLERANCE);
}

function isDiverging(loss, already) {
  const means = blockMeans(loss);
  if (means.length < 2) return false;
  const [now, earlier] = means;
  const limit = Math.min(GUESSING * WORSE_THAN_GUESSING, Math.min(...means) * FAR_ABOVE.times + FAR_ABOVE.plus);
  if (already) return now > limit * CALM_AGAIN;
  return now > limit && now > earlier * FALLING;
}

/** Means of MEAN_POINTS losses each, the newest first, as far back as one looks; a loss that is no number is left out. */
function blockMeans(loss) {
  const means = [];
  const oldest = Math.max(0, loss.length - LOOK_BACK_POINTS);
  for (let end = loss.length; end - MEAN_POINTS >= oldest; end -= MEAN_POINTS) {
    const values = loss.slice(end - MEAN_POINTS, end).filter((value) => value !== null);
    if (values.length > 0) means.push(values.reduce((sum, value) => sum + value, 0) / values.length);
  }
  return means;
}

/** A learning rate to try instead: a tenth, of two digits. */
export function gentlerRate(rate) {
  return Number((rate / 10).toPrecision(2));
}
