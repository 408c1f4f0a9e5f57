// The grammar, as chevrotain rules without actions: text in, concrete syntax tree out. `grammar/trapline.ebnf` says the
// same and is held to it by a test. LL(1), because words.ts has looked at neighbours already; where a word could
// begin two things, the first alternative is meant.

import { CstParser, type IParserErrorMessageProvider, type IToken, type TokenType } from "chevrotain";
import type { CstNode } from "./cst.js";
import { LookaheadWhenMet } from "./lookahead.js";
import { Colon } from "./token-kinds.js";
import type { Token } from "./tokens.js";
import { allTokenTypes, tokenTypes, typesNamed } from "./token-types.js";

/** The kinds of token that the rules name. */
const t = typesNamed(
  ...(["Name", "Plain", "Label", "Prefix", "Hint", "Size", "Callee", "On"] as const),
  ...(["Nothing", "Any", "Of", "To", "Goto", "Then"] as const),
  ...(["Number", "String", "Here", "SectionStart", "Exception", "Operator", "UnaryOperator", "Star", "Hole"] as const),
  ...(["LParen", "CallParen", "RParen", "LBracket", "RBracket", "LCurly", "RCurly"] as const),
  ...(["Comma", "Colon", "Range", "Assign", "Arrow", "NewLine"] as const),
);

/** The rules. One instance serves all files; rules are methods because chevrotain records them in the constructor. */
export class Grammar extends CstParser {
  constructor(errors: IParserErrorMessageProvider, skipValidations: boolean) {
    super(allTokenTypes, {
      maxLookahead: 1,
      lookaheadStrategy: new LookaheadWhenMet({ maxLookahead: 1 }),
      recoveryEnabled: true,
      nodeLocationTracking: "none",
      errorMessageProvider: errors,
      skipValidations,
    });
    this.performSelfAnalysis();
  }

  /** Only what closes a bracket may be thought in; anything else would put words into the author's mouth. */
  protected override canTokenTypeBeInsertedInRecovery(type: TokenType): boolean {
    return type.name === "RParen" || type.name === "RBracket";
  }

  /** Nothing is skipped to make a line fit: the token in the way may be the end of the line. */
  protected override canTokenTypeBeDeletedInRecovery(): boolean {
    return false;
  }

  // The three methods below are chevrotain's own of version 11.2, which is pinned. Its nodes sort their parts into
  // dictionaries by name; ours keep them in order, which is simpler to read and takes a third of the memory.

  declare private readonly CST_STACK: CstNode[];

  protected cstInvocationStateUpdate(name: string): void {
    this.CST_STACK.push({ name, parts: [] });
  }

  protected cstPostTerminal(_name: string, token: Token): void {
    if (token.isInsertedInRecovery !== true) this.CST_STACK[this.CST_STACK.length - 1]?.parts.push(token);
  }

  protected cstPostNonTerminal(node: CstNode): void {
    this.CST_STACK[this.CST_STACK.length - 1]?.parts.push(node);
  }

  /** Parses the tokens of whole lines. */
  parse(tokens: Token[]): CstNode {
    for (const token of tokens) token.tokenTypeIdx = tokenTypes[token.kind]?.tokenTypeIdx ?? 0;
    this.input = tokens as unknown as IToken[];
    return this.file() as unknown as CstNode;
  }

  private readonly file = this.RULE("file", () => {
    this.OPTION(() => this.SUBRULE(this.item));
    this.MANY(() => {
      this.CONSUME(t.NewLine);
      this.OPTION1(() => this.SUBRULE1(this.item));
    });
  });

  private readonly item = this.RULE("item", () => {
    this.OR({
      DEF: [
        { ALT: () => this.SUBRULE(this.onLine) },
        { ALT: () => this.SUBRULE(this.events) },
        { ALT: () => this.SUBRULE(this.statement) },
      ],
      IGNORE_AMBIGUITIES: true,
    });
  });

  private readonly onLine = this.RULE("onLine", () => {
    this.CONSUME(t.On);
    this.CONSUME(t.Name);
    this.MANY(() => {
      this.CONSUME(t.Comma);
      this.CONSUME1(t.Name);
    });
    this.OPTION(() => {
      this.OR([{ ALT: () => this.SUBRULE(this.block) }, { ALT: () => this.SUBRULE(this.events) }]);
    });
  });

  private readonly statement = this.RULE("statement", () => {
    this.MANY(() => {
      this.CONSUME(t.Label);
      this.CONSUME(t.Colon);
    });
    this.OPTION(() => {
      this.MANY1(() => this.CONSUME(t.Prefix));
      this.CONSUME(t.Name);
      this.OPTION1(() => {
        this.SUBRULE(this.arg);
        this.MANY2(() => {
          this.CONSUME(t.Comma);
          this.SUBRULE1(this.arg);
        });
      });
      this.OPTION2(() => this.SUBRULE(this.block));
      this.OPTION3(() => this.SUBRULE(this.events));
    });
  });

  private readonly block = this.RULE("block", () => {
    this.CONSUME(t.LCurly);
    this.OPTION(() => this.SUBRULE(this.item));
    this.MANY(() => {
      this.CONSUME(t.NewLine);
      this.OPTION1(() => this.SUBRULE1(this.item));
    });
    this.CONSUME(t.RCurly);
  });

  private readonly arg = this.RULE("arg", () => {
    this.AT_LEAST_ONE(() => {
      this.OR({
        DEF: [
          { ALT: () => this.CONSUME(t.Hint) },
          {
            ALT: () => {
              this.SUBRULE(this.expr);
              this.OPTION(() => {
                this.OR1([
                  { ALT: () => this.CONSUME(t.Range) },
                  { ALT: () => this.CONSUME(t.Colon) },
                  { ALT: () => this.CONSUME(t.Assign) },
                ]);
                this.SUBRULE1(this.expr);
                this.OPTION1(() => {
                  this.CONSUME1(t.Assign);
                  this.SUBRULE2(this.expr);
                });
              });
            },
          },
        ],
        IGNORE_AMBIGUITIES: true,
      });
    });
  });

  private readonly expr = this.RULE("expr", () => {
    this.AT_LEAST_ONE_SEP({
      SEP: t.Operator,
      DEF: () => {
        this.MANY(() => this.CONSUME(t.UnaryOperator));
        this.OR({
          DEF: [
            { ALT: () => this.CONSUME(t.Number) },
            { ALT: () => this.CONSUME(t.String) },
            { ALT: () => this.CONSUME(t.Here) },
            { ALT: () => this.CONSUME(t.SectionStart) },
            { ALT: () => this.SUBRULE(this.call) },
            { ALT: () => this.SUBRULE(this.memory) },
            { ALT: () => this.CONSUME(t.Name) },
            { ALT: () => this.CONSUME(t.Exception) },
            { ALT: () => this.SUBRULE(this.group) },
          ],
          IGNORE_AMBIGUITIES: true,
        });
      },
    });
    this.OPTION(() => {
      this.CONSUME(t.Hole);
      this.SUBRULE(this.expr);
      this.CONSUME(t.Colon);
      this.SUBRULE1(this.expr);
    });
  });

  private readonly call = this.RULE("call", () => {
    this.CONSUME(t.Callee);
    this.CONSUME(t.CallParen);
    this.OPTION(() => {
      this.SUBRULE(this.arg);
      this.MANY(() => {
        this.CONSUME(t.Comma);
        this.SUBRULE1(this.arg);
      });
    });
    this.CONSUME(t.RParen);
  });

  private readonly group = this.RULE("group", () => {
    this.CONSUME(t.LParen);
    this.SUBRULE(this.expr);
    this.CONSUME(t.RParen);
  });

  private readonly memory = this.RULE("memory", () => {
    this.OPTION(() => this.CONSUME(t.Size));
    this.CONSUME(t.LBracket);
    this.MANY(() => this.CONSUME(t.Hint));
    this.SUBRULE(this.expr);
    this.OPTION1(() => {
      this.CONSUME(t.Colon);
      this.MANY1(() => this.CONSUME1(t.Hint));
      this.SUBRULE1(this.expr);
    });
    this.CONSUME(t.RBracket);
  });

  private readonly events = this.RULE("events", () => {
    this.CONSUME(t.Arrow);
    this.SUBRULE(this.round);
    this.MANY(() => {
      this.CONSUME(t.Then);
      this.SUBRULE1(this.round);
    });
  });

  private readonly round = this.RULE("round", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(t.LParen);
          this.SUBRULE(this.eventList);
          this.CONSUME(t.RParen);
        },
      },
      { ALT: () => this.SUBRULE1(this.eventList) },
    ]);
    this.OPTION(() => {
      this.CONSUME(t.Star);
      this.SUBRULE(this.expr);
    });
  });

  private readonly eventList = this.RULE("eventList", () => {
    this.SUBRULE(this.event);
    this.MANY(() => {
      this.CONSUME(t.Comma);
      this.SUBRULE1(this.event);
    });
  });

  private readonly event = this.RULE("event", () => {
    this.OR({
      DEF: [
        { ALT: () => this.CONSUME(t.Nothing) },
        { ALT: () => this.CONSUME(t.Hole) },
        { ALT: () => this.SUBRULE(this.anyEvent) },
        { ALT: () => this.SUBRULE(this.oneEvent) },
      ],
      IGNORE_AMBIGUITIES: true,
    });
  });

  private readonly anyEvent = this.RULE("anyEvent", () => {
    this.CONSUME(t.Any);
    this.OPTION(() => {
      this.CONSUME(t.Of);
      this.CONSUME(t.LParen);
      this.SUBRULE(this.eventList);
      this.CONSUME(t.RParen);
    });
  });

  private readonly oneEvent = this.RULE("oneEvent", () => {
    this.CONSUME(t.Plain);
    this.OPTION(() => {
      this.OR([{ ALT: () => this.CONSUME1(t.Plain) }, { ALT: () => this.CONSUME(t.Exception) }]);
    });
    this.OPTION1(() => {
      this.CONSUME(t.LParen);
      this.SUBRULE(this.field);
      this.MANY(() => {
        this.CONSUME(t.Comma);
        this.SUBRULE1(this.field);
      });
      this.CONSUME(t.RParen);
    });
    this.OPTION2(() => {
      this.CONSUME(t.To);
      this.CONSUME(t.Name);
    });
    this.OPTION3(() => {
      this.CONSUME(t.Goto);
      this.CONSUME1(t.Name);
    });
  });

  private readonly field = this.RULE("field", () => {
    this.OPTION({
      GATE: () => (this.LA(2) as unknown as Token).kind === Colon,
      DEF: () => {
        this.CONSUME(t.Name);
        this.CONSUME(t.Colon);
      },
    });
    this.SUBRULE(this.expr);
  });
}
