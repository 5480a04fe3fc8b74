/* campaign: how long what a blast is made of may be. Ingress says so to those who ask for one; the
 * scheduler, to whom others write as well, takes nothing longer, so that every event and command
 * that carries these texts on fits into a record. */
#ifndef DOMAIN_CAMPAIGN_H
#define DOMAIN_CAMPAIGN_H

enum {
    CAMPAIGN_NAME_MAX = 200,      /* characters */
    CAMPAIGN_TEMPLATE_MAX = 4096, /* characters */
    CAMPAIGN_CONTACT_MAX = 200,   /* characters of a contact's name */
    CAMPAIGN_ID_MAX = 64,         /* bytes */

    /* the same in bytes of UTF-8 */
    CAMPAIGN_NAME_BYTES_MAX = 4 * CAMPAIGN_NAME_MAX,
    CAMPAIGN_TEMPLATE_BYTES_MAX = 4 * CAMPAIGN_TEMPLATE_MAX,
    CAMPAIGN_CONTACT_BYTES_MAX = 4 * CAMPAIGN_CONTACT_MAX
};

#endif
