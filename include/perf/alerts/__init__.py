"""Problems that people were alerted about, and the words of their messages. Imports no verdict and no pipeline."""
