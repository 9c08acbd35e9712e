/* gcc looks for it with -D__FreeBSD__; glibc has all that is needed elsewhere. */
