/* Orders from Dom0: `data/command` of the tests and `control/shutdown` of the toolstack. */
#ifndef COMMANDS_H
#define COMMANDS_H

void commands_init(void);

/* Carries out what has come since the last call. */
void commands_run(void);

#endif
