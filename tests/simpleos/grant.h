/* Grant table, version 1. */
#ifndef GRANT_H
#define GRANT_H

#include <stdint.h>

void grant_init(void);

/* Lets Dom0 map a page for reading; returns the grant reference. */
uint32_t grant_to_dom0_read_only(const void *page);

#endif
