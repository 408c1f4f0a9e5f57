// What the parser decides by looking at the next token, worked out when it is first met.

import { LLkLookaheadStrategy, type BaseParser, type ILookaheadStrategy, type IOrAlt } from "chevrotain";

type ChooseAlternative = (this: BaseParser, alternatives?: IOrAlt<unknown>[]) => number | undefined;
type EnterOption = (this: BaseParser) => boolean;

/** Chevrotain's own decisions, but none before it is needed: a small test meets a third of them. */
export class LookaheadWhenMet extends LLkLookaheadStrategy {
  override buildLookaheadForAlternation(
    options: Parameters<ILookaheadStrategy["buildLookaheadForAlternation"]>[0],
  ): ChooseAlternative {
    let choose: ChooseAlternative | undefined;
    const build = (): ChooseAlternative => super.buildLookaheadForAlternation(options);
    return function (alternatives) {
      choose ??= build();
      return choose.call(this, alternatives);
    };
  }

  override buildLookaheadForOptional(
    options: Parameters<ILookaheadStrategy["buildLookaheadForOptional"]>[0],
  ): EnterOption {
    let enter: EnterOption | undefined;
    const build = (): EnterOption => super.buildLookaheadForOptional(options);
    return function () {
      enter ??= build();
      return enter.call(this);
    };
  }
}
